// Flows against a running Fanal that holds the demo's hospital. What needs something sent while the page is open asks
// for it with a line "# stage NAME" (tests/e2e/t_page.py sends it); without FANAL_STAGED=1 those flows are skipped.
import { equal, match, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { accessible, fits, greyAt, pictureShown, scrollRate, signIn } from './helpers.mjs';

const USER = process.env.FANAL_USER ?? 'demo';
const PASSWORD = process.env.FANAL_PASSWORD ?? 'quatre mots bien choisis';
const SEARCH = process.env.FANAL_SEARCH ?? '14031958 mar';
const STAGED = process.env.FANAL_STAGED === '1';
const MODES = { birth: 'birth', name: 'name', identifier: 'identifier' };
const NAMES = [ /* as somebody types them, and what must be found: any script, no accents, any case */
  ['nguyen', 'NGUYỄN'], ['山田', '山田'], ['やまだ', 'Yamada'], ['حداد', 'حداد'], ['иванова', 'ИВАНОВА'], ['helene', 'DUPOND'],
];
const PICTURES = [['8003112', 'CT'], ['8004410', 'MR'], ['8005002', 'CR'], ['8007300', 'US']];

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

async function search(page, mode, line) {
  await page.goto('/#/');
  await page.locator(`input[name=mode][value=${mode}]`).check();
  await page.locator('#line').fill(line);
  await page.keyboard.press('Enter');
}

async function openPatient(page, identifier) {
  await search(page, MODES.identifier, identifier);
  await page.locator('.identity', { hasText: identifier }).waitFor();
}

async function openSeries(page, identifier, index = 0) {
  await openPatient(page, identifier);
  await page.locator('.series').nth(index).click();
}

const row = (page, name) => page.locator('tr.row', { hasText: name }).first();
const thumbDrawn = (page) => page.waitForFunction(() => document.querySelector('.thumb img')?.naturalWidth > 0);

async function findFlows({ tap, page, shoot }) {
  await tap.test('a wrong password is said, sign out ends the session', async () => {
    await page.locator('.banner button, button').filter({ hasText: 'Se déconnecter' }).click();
    await page.locator('#password').waitFor();
    await page.locator('#user').fill(USER);
    await page.locator('#password').fill('something else entirely');
    await page.locator('button.primary').click();
    await page.locator('[role=alert]').waitFor();
    await shoot(page, 'real-wrong-password');
    await signIn(page, USER, PASSWORD);
  });
  await tap.test('find by birth date and letters: two homonyms apart', async () => {
    await page.locator('.source').first().waitFor();
    await search(page, MODES.birth, '02071990 dup');
    await page.getByText('2 patients trouvés').waitFor();
    await accessible(page);
    await shoot(page, 'real-found');
  });
  await tap.test('find by name in any script', async () => {
    for (const [line, shown] of NAMES) {
      await search(page, MODES.name, line);
      await page.waitForFunction((text) => document.querySelector('.found, .identity')?.closest('main, body').innerText.toUpperCase().includes(text.toUpperCase()), shown);
    }
  });
}

async function patientFlows({ tap, page, shoot }) {
  await tap.test('results: abnormal marked, previous beside, note, PDF', async () => {
    await openPatient(page, '8003112');
    await row(page, 'Potassium').waitFor();
    const potassium = await row(page, 'Potassium').innerText();
    for (const text of ['6.4', 'mmol/L', 'HH', 'critique haut', '3.5-5.1', '4.2', 'validé']) ok(potassium.includes(text), `${text} in ${potassium}`);
    await page.getByText('Prélèvement non hémolysé, résultat téléphoné').waitFor();
    await thumbDrawn(page);
    await page.locator('.series').getByText('en cours d’arrivée').waitFor();
    await accessible(page);
    await fits(page);
    await shoot(page, 'real-patient');
    const download = page.waitForEvent('download');
    await page.locator('.document').click();
    const path = await (await download).path();
    match(readFileSync(path, 'latin1').slice(0, 8), /^%PDF-1/);
  });
  await tap.test('results: a correction shows the old value, a preliminary one says so', async () => {
    await openPatient(page, '8005002');
    const platelets = row(page, 'Plaquettes');
    await platelets.waitFor();
    const text = await platelets.innerText();
    for (const one of ['208', 'corrigé', 'remplace', '88']) ok(text.includes(one), `${one} in ${text}`);
    await shoot(page, 'real-corrected');
    await openPatient(page, '8006017');
    await row(page, 'Leucocytes').waitFor();
    match(await row(page, 'Leucocytes').innerText(), /provisoire/);
    await shoot(page, 'real-arabic');
  });
  await tap.test('thumbnails of CT, MR, CR and US', async () => {
    for (const [identifier, modality] of PICTURES) {
      await openPatient(page, identifier);
      await page.locator('.series', { hasText: modality }).waitFor();
      await thumbDrawn(page);
      await fits(page);
      await shoot(page, `real-patient-${modality}`);
    }
  });
}

async function viewerFlows({ tap, page, shoot }) {
  await tap.test('viewer: CT scrolls, letters, window by drag, presets', async () => {
    await openSeries(page, '8003112');
    await pictureShown(page, 0);
    equal(await page.locator('.letter-left').innerText(), 'R');
    equal(await page.locator('.letter-right').innerText(), 'L');
    equal(await page.locator('.letter-top').innerText(), 'A');
    match(await page.locator('.corner-br').innerText(), /C 40 {2}L 400/);
    const box = await page.locator('canvas.picture').boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.wheel(0, 100);
    await pictureShown(page, 1);
    await page.keyboard.press('PageDown');
    await page.keyboard.press('PageDown');
    await page.keyboard.press('PageDown');
    await pictureShown(page, 31);
    ok((await greyAt(page, 0.5, 0.02)) < 5, 'air is black');
    await shoot(page, 'real-viewer');
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2 + 40, { steps: 6 });
    await page.mouse.up();
    await page.waitForFunction(() => !/C 40 {2}L 400/.test(document.querySelector('.corner-br').textContent));
    await page.getByRole('button', { name: /^Poumon/ }).click();
    await page.locator('.identity', { hasText: '8003112' }).waitFor();
    await accessible(page);
    await shoot(page, 'real-viewer-lung');
  });
  await tap.test('viewer: the wrist says its side, its orientation, and the strip its patient', async () => {
    await openSeries(page, '8005002');
    await pictureShown(page, 0);
    match(await page.locator('.laterality').innerText(), /L · Gauche/);
    equal(await page.locator('.letter-right').innerText(), 'L');
    await page.waitForFunction(() => !document.querySelector('.corner-br').textContent.includes('Aperçu'));
    await shoot(page, 'real-viewer-wrist');
  });
  await tap.test('viewer: MR and ultrasound in colour', async () => {
    await openSeries(page, '8004410');
    await pictureShown(page, 0);
    await page.keyboard.press('PageDown');
    await pictureShown(page, 10);
    await shoot(page, 'real-viewer-mr');
    await openSeries(page, '8007300');
    await pictureShown(page, 0);
    await page.waitForTimeout(200);
    ok((await greyAt(page, 0.5, 0.5)) > 3, 'echoes are seen');
    await shoot(page, 'real-viewer-us');
  });
}

async function stagedFlows({ tap, page, shoot }) {
  const stage = (name) => console.log(`# stage ${name}`);

  await tap.test('a new result appears without reload', async () => {
    await openPatient(page, '8003112');
    await row(page, 'Potassium').waitFor();
    stage('result');
    await page.locator('tr.row', { hasText: '6.9' }).waitFor();
    await shoot(page, 'real-new-result');
  });
  await tap.test('a new image joins the open stack, the picture stays', async () => {
    await page.locator('.series').first().click();
    await pictureShown(page, 0);
    stage('image');
    await page.waitForFunction(() => /Image 1 \/ 61/.test(document.querySelector('.corner-bl').textContent));
    await page.locator('.viewer-marks').getByText('en cours d’arrivée').waitFor();
  });
  await tap.test('an image in JPEG 2000 says in its place that it is not drawn', async () => {
    await openPatient(page, '8003125');
    await row(page, 'Glucose').waitFor();
    stage('undrawn');
    await page.locator('.series').click();
    await page.getByText('Image non affichable ici').waitFor();
    match(await page.locator('.undrawn').innerText(), /1\.2\.840\.10008\.1\.2\.4\.90/);
    await shoot(page, 'real-undrawn');
  });
  await tap.test('an image received twice with other pixels is a conflict, in the study and in "to look at"', async () => {
    await openPatient(page, '8007300');
    stage('conflict');
    await page.getByText('Contient une image reçue deux fois').waitFor();
    await shoot(page, 'real-conflict');
    await page.goto('/#/attention');
    await page.locator('.attention .list').getByText('8007300').first().waitFor();
    await shoot(page, 'real-attention');
  });
  await tap.test('the same identifier with another birth date: a discrepancy on every view of the patient', async () => {
    await openPatient(page, '8004410');
    stage('discrepancy');
    await page.locator('.discrepancy').waitFor();
    await shoot(page, 'real-discrepancy');
    await page.locator('.series').first().click();
    await pictureShown(page, 0);
    await page.locator('.discrepancy').waitFor();
  });
  await tap.test('a study of two patients: each page shows its own images only', async () => {
    stage('mixed');
    for (const [identifier, count] of [['8003125', 2], ['8003126', 3]]) {
      await openPatient(page, identifier);
      await page.getByText('des images de cet examen nomment un autre patient').waitFor();
      await page.locator('.series', { hasText: 'DEUX PATIENTS' }).getByText(`${count} images`).waitFor();
      await page.locator('.series', { hasText: 'DEUX PATIENTS' }).click();
      await page.waitForFunction((n) => document.querySelector('.corner-bl')?.textContent.includes(`Image 1 / ${n}`), count);
    }
    await shoot(page, 'real-mixed');
  });
}

/* From the first key of the search to labs and the first slice, then the wheel: printed, and held to what is wanted. */
async function timeFlows({ tap, page }) {
  await tap.test('within a second: patient found, results and first slice on screen; the wheel keeps up', async () => {
    await page.goto('/#/');
    await page.locator('#line').waitFor();
    await page.locator('input[name=mode][value=birth]').check();
    const begin = Date.now();
    await page.locator('#line').fill(SEARCH);
    await page.keyboard.press('Enter');
    await page.locator('.found, .identity').first().waitFor();
    if (!(await page.locator('.identity').count())) await page.locator('.found').first().click();
    const found = Date.now();
    await page.locator('.results tr.row').first().waitFor();
    const results = Date.now();
    await page.locator('.series').first().click();
    await pictureShown(page, 0);
    const picture = Date.now();
    tap.note(`found ${found - begin} ms, results ${results - begin} ms, first slice ${picture - begin} ms`);
    const rates = [await scrollRate(page, 2), await scrollRate(page, 2)]; /* the first one reads the frames */
    tap.note(`scroll: ${rates.map((rate) => rate.toFixed(1)).join(', ')} images/s`);
    ok(picture - begin < 5000, 'five times what is wanted, for a machine that does other things too');
    ok(Math.max(...rates) >= 10, 'images a second');
  });
}

export async function realFlows({ tap, open, shoot, base }) {
  const { context, page, complaints } = await open(base);
  const flow = { tap, page, shoot };

  await tap.test('first start: enrol, or sign in', () => enter(page));
  await findFlows(flow);
  await patientFlows(flow);
  await viewerFlows(flow);
  await timeFlows(flow);
  if (STAGED) await stagedFlows(flow);
  else tap.skip('what arrives while the page is open', 'FANAL_STAGED is not set');
  await tap.test('sign out keeps nothing on the screen', async () => {
    await openPatient(page, '8003112');
    await page.getByRole('button', { name: 'Se déconnecter' }).click();
    await page.locator('#password').waitFor();
    ok(!(await page.content()).includes('8003112'));
  });
  await tap.test('nothing complained: no CSP violation, no script error, no request elsewhere', async () => {
    equal(complaints.join('\n'), '');
  });
  await context.close();
}
