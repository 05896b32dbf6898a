// Flows against a running Fanal with data in it (for example the demo). They read; they stage nothing.
import { equal, ok } from 'node:assert/strict';
import { accessible, fits, pictureShown, scrollRate, signIn } from './helpers.mjs';

const USER = process.env.FANAL_USER ?? 'demo';
const PASSWORD = process.env.FANAL_PASSWORD ?? 'quatre mots bien choisis';
const SEARCH = process.env.FANAL_SEARCH ?? '1948';

async function enter(page) {
  await page.goto('/');
  await page.locator('#user').waitFor();
  if (!(await page.locator('#code').count())) return signIn(page, USER, PASSWORD);
  ok(process.env.FANAL_ENROLMENT_CODE, 'this Fanal has no account yet: set FANAL_ENROLMENT_CODE');
  await page.locator('#code').fill(process.env.FANAL_ENROLMENT_CODE);
  await page.locator('#user').fill(USER);
  await page.locator('#display-name').fill('Dr Demo');
  await page.locator('#password').fill(PASSWORD);
  await page.locator('#password-again').fill(PASSWORD);
  await page.locator('button.primary').click();
  return page.locator('#line').waitFor();
}

export async function realFlows({ tap, open, shoot, base }) {
  const { context, page, complaints } = await open(base);
  await tap.test('enter', () => enter(page));
  await tap.test('find a patient', async () => {
    await page.locator('.source').first().waitFor();
    await page.locator('#line').fill(SEARCH);
    await page.keyboard.press('Enter');
    await page.locator('.found').first().waitFor();
    await accessible(page);
    await shoot(page, 'real-found');
  });
  await tap.test('results and images of the patient', async () => {
    await page.locator('.found').first().click();
    await page.locator('.identity').waitFor();
    await page.locator('.results tr.row').first().waitFor();
    await page.locator('.series').first().waitFor();
    await page.locator('.thumb img, .thumb-none').first().waitFor();
    await page.waitForTimeout(1000);
    await accessible(page);
    await fits(page);
    await shoot(page, 'real-patient');
  });
  await tap.test('the longest series opens and scrolls', async () => {
    const counts = await page.locator('.series').evaluateAll((all) => all.map((one) => Number(/(\d+) images/.exec(one.textContent)?.[1] ?? 1)));
    const longest = counts.indexOf(Math.max(...counts));
    const begin = Date.now();
    await page.locator('.series').nth(longest).click();
    await pictureShown(page, 0);
    tap.note(`first image of a series: ${Date.now() - begin} ms`);
    await page.locator('.identity').waitFor();
    if (counts[longest] > 1) tap.note(`scroll: ${(await scrollRate(page, 3)).toFixed(1)} images/s`);
    await accessible(page);
    await shoot(page, 'real-viewer');
  });
  await tap.test('"to look at"', async () => {
    await page.goto('/#/attention');
    await page.locator('.attention .list, .attention .none').first().waitFor();
    await shoot(page, 'real-attention');
  });
  await tap.test('nothing complained: no CSP violation, no script error, no request elsewhere', async () => {
    equal(complaints.join('\n'), '');
  });
  await context.close();
}
