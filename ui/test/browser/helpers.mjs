// What flows share.
import { deepEqual, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/* WCAG 2.x A and AA. Injected over the debugger, so the page's own CSP stays in force. */
export async function accessible(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] });
    return violations.map((v) => `${v.id}: ${v.nodes.map((node) => `${node.target.join(' ')} ${node.any[0]?.message ?? ''}`).join(' | ')}`);
  });
  deepEqual(found, []);
}

/* Nothing of the page is wider than its window. */
export async function fits(page) {
  const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  ok(inner <= outer, `page is ${inner} px wide in a window of ${outer}`);
}

export async function signIn(page, user, password) {
  await page.goto('/');
  await page.getByLabel(/^(Identifiant du compte|User)$/).fill(user);
  await page.locator('input[name=password]').fill(password);
  await page.locator('button.primary').click();
  await page.locator('#line').waitFor();
}

export const pictureShown = (page, index) =>
  page.waitForFunction((n) => document.querySelector('canvas.picture')?.dataset.shown === String(n), index);

/* The canvas as the reader sees it: mean grey of a box given in shares of its size. */
export const greyAt = (page, x, y, size = 0.04) =>
  page.evaluate(([cx, cy, share]) => {
    const canvas = document.querySelector('canvas.picture');
    const side = Math.max(1, Math.round(canvas.height * share));
    const { data } = canvas.getContext('2d').getImageData(Math.round(canvas.width * cx - side / 2), Math.round(canvas.height * cy - side / 2), side, side);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i];
    return sum / (data.length / 4);
  }, [x, y, size]);

/* Scrolls for some seconds with the wheel as fast as pictures come; pictures a second. */
export const scrollRate = (page, seconds) =>
  page.evaluate((ms) => new Promise((done) => {
    const canvas = document.querySelector('canvas.picture');
    const start = performance.now();
    let before = canvas.dataset.shown;
    let drawn = 0;
    let direction = 100;
    const turn = () => canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: direction, bubbles: true, cancelable: true }));
    const tick = () => {
      const { shown } = canvas.dataset;
      if (shown !== before) {
        drawn += 1;
        before = shown;
      }
      if (performance.now() - start > ms) return done(drawn / ((performance.now() - start) / 1000));
      const slider = document.querySelector('.tool-scroll input');
      if (slider.value === slider.max) direction = -100;
      if (slider.value === '1') direction = 100;
      turn();
      return requestAnimationFrame(tick);
    };
    turn();
    requestAnimationFrame(tick);
  }), seconds * 1000);
