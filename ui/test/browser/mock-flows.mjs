// Flows against the mock, where the test can also play the network, the laboratory and the CT.
import { equal, match, ok } from 'node:assert/strict';
import { ENROLMENT_CODE } from '../../mock/server.mjs';
import { accessible, fits, greyAt, pictureShown, scrollRate, signIn } from './helpers.mjs';

const PASSWORD = 'quatre mots bien choisis';
const CT = '#/p/dupont-marie/st-ct/ct-head';
const SIZES = [{ width: 1280, height: 800 }, { width: 1920, height: 1080 }, { width: 1024, height: 768 }];

async function search(page, line) {
  await page.locator('#line').fill(line);
  await page.keyboard.press('Enter');
}

export async function mockFlows({ tap, open, shoot, make }) {
  await tap.test('first start: enrolment checks the password, then enters', async () => {
    const { mock, base } = await make({ enrolled: false });
    const { context, page, complaints } = await open(base);
    await page.goto('/');
    await page.getByRole('heading', { name: 'Première mise en service' }).waitFor();
    await accessible(page);
    await page.locator('button.primary').click();
    match(await page.locator('#code-hint').innerText(), /remplir/);
    await page.locator('#code').fill(ENROLMENT_CODE);
    await page.locator('#user').fill('j.martin');
    await page.locator('#display-name').fill('Dr Jeanne Martin');
    await page.locator('#password').fill('court');
    match(await page.locator('#password-hint').innerText(), /manque 7/);
    await shoot(page, 'enrolment');
    await page.locator('#password').fill(PASSWORD);
    await page.locator('#password-again').fill(PASSWORD);
    await page.locator('button.primary').click();
    await page.locator('#line').waitFor();
    equal(complaints.join('\n'), '');
    await context.close();
    mock.close();
  });

  const { mock, base } = await make({});
  const { context, page, complaints } = await open(base);

  await tap.test('sign in: a wrong password is said, too many are slowed, the right one enters', async () => {
    await page.goto('/');
    await page.locator('#user').fill('demo');
    for (let i = 0; i < 4; i++) {
      await page.locator('#password').fill('wrong');
      await page.locator('button.primary').click();
      await page.locator('[role=alert]').waitFor();
      await page.waitForTimeout(100);
    }
    match(await page.locator('[role=alert]').innerText(), /Trop d’essais/);
    ok(await page.locator('button.primary').isDisabled());
    await accessible(page);
    await shoot(page, 'sign-in-slowed');
    mock.state.tries = 0;
    await page.locator('button.primary:enabled').waitFor();
    await signIn(page, 'demo', PASSWORD);
  });

  await tap.test('banner: what it is for, and the age of each source; the silent one is marked', async () => {
    await page.getByText('pas une station de diagnostic, pas un SIL').waitFor();
    await page.getByText('CT1 : dernière image il y a 3 min').waitFor();
    match(await page.locator('.source', { hasText: 'LIS' }).innerText(), /silencieux/);
    equal(await page.locator('.source', { hasText: 'CT1' }).locator('.silent-mark').count(), 0);
  });

  await tap.test('find by birth date and letters: homonyms apart, in one line', async () => {
    await accessible(page);
    await search(page, 'dupont');
    match(await page.locator('#line-hint').innerText(), /Date non comprise/);
    await search(page, '12/03/1948 dup');
    await page.getByText('2 patients trouvés').waitFor();
    match(await page.locator('.homonyms-title').innerText(), /même date de naissance/);
    await accessible(page);
    await fits(page);
    await shoot(page, 'found-homonyms');
    await search(page, '1948');
    await page.getByText('3 patients trouvés').waitFor();
    await search(page, '01012000 zzz');
    await page.getByText('Aucun patient trouvé').waitFor();
    await shoot(page, 'found-none');
  });

  await tap.test('find by name in any script, by identifier; provisional and discrepant ones say so', async () => {
    await page.getByText('Nom', { exact: true }).click();
    await search(page, '山田');
    await page.locator('.found', { hasText: 'Yamada' }).waitFor();
    await search(page, 'martin');
    await page.locator('.found', { hasText: 'Discordance d’identité' }).waitFor();
    await shoot(page, 'found-discrepancy');
    await search(page, 'inconnu');
    await page.locator('.found', { hasText: 'IDENTITÉ PROVISOIRE' }).waitFor();
    await page.getByText('Identifiant', { exact: true }).first().click();
    await search(page, '8001234');
    await page.locator('.identity', { hasText: 'DUPONT Marie Claire' }).waitFor();
  });

  await tap.test('patient: every mark of a result is there without hovering', async () => {
    await page.goto('/#/p/dupont-marie');
    const row = (name) => page.locator('tr.row', { hasText: name });
    await row('Potassium').waitFor();
    const potassium = await row('Potassium').innerText();
    for (const text of ['6.8', 'mmol/L', 'HH', 'critique haut', '3.5 - 5.1', '4.2', 'corrigé', 'remplace', '4.6', 'validé']) ok(potassium.includes(text), text);
    match(await row('Lactates').innerText(), /4\.10/);
    match(await row('Lactates').innerText(), /provisoire/);
    match(await row('Troponine').innerText(), /non validé/);
    match(await row('Schizocytes').innerText(), /non réalisable/);
    match(await page.locator('.group-head', { hasText: 'Gaz du sang' }).innerText(), /Heure du prélèvement.*\(\+01:00\)/s);
    match(await page.locator('.group-head', { hasText: 'Hémoculture' }).innerText(), /heure du prélèvement non fournie|Heure du prélèvement/);
    equal(await page.locator('.results tbody').first().locator('.group-name').innerText(), 'Gaz du sang artériel');
    await page.locator('.thumb img').nth(3).waitFor();
    await page.getByText('Pas d’aperçu').waitFor();
    await page.getByText('Contient une image reçue deux fois').waitFor();
    await page.locator('.series', { hasText: 'Thorax face' }).getByText('en cours d’arrivée').waitFor();
    await accessible(page);
    for (const size of SIZES) {
      await page.setViewportSize(size);
      await fits(page);
      await shoot(page, `patient-${size.width}`);
    }
    await page.setViewportSize(SIZES[0]);
    const download = page.waitForEvent('download');
    await page.locator('.document').click();
    equal((await download).suggestedFilename(), 'document.pdf');
  });

  await tap.test('a discrepancy is on every screen of the patient, the viewer included', async () => {
    await page.goto('/#/p/martin');
    await page.locator('.discrepancy').waitFor();
    match(await page.locator('.discrepancy').innerText(), /date de naissance 05\/07\/1957 \(CT1\), nom MARTIN Paule \(LIS\)/);
    await page.locator('.results').waitFor();
    await shoot(page, 'patient-discrepancy');
    await page.goto('/#/p/martin/st-us/us-abdo');
    await page.locator('.discrepancy').waitFor();
    await pictureShown(page, 0);
    await accessible(page);
    await shoot(page, 'viewer-us-discrepancy');
  });

  await tap.test('right-to-left and partial data stay readable', async () => {
    await page.goto('/#/p/arabic');
    await page.locator('tr.row').first().waitFor();
    match(await page.locator('tr.row', { hasText: 'Marqueur Z' }).innerText(), /ZZ[\s\S]*statut non fourni/);
    await shoot(page, 'patient-arabic');
    await page.goto('/#/p/unknown');
    await page.locator('.identity', { hasText: 'IDENTITÉ PROVISOIRE' }).waitFor();
    await page.getByText('Aucun résultat de biologie').waitFor();
    await shoot(page, 'patient-provisional');
  });

  await tap.test('hostile and endless values stay text, inside the window', async () => {
    await page.goto('/#/');
    await page.locator('input[name=mode][value=birth]').check();
    await search(page, '1901');
    await page.locator('.found', { hasText: '<img src' }).waitFor();
    await fits(page);
    await page.goto('/#/p/nasty');
    await page.locator('tr.row').first().waitFor();
    match(await page.locator('.group-head').innerText(), /not a time at all/);
    equal(await page.locator('img[src=x], .app script, .app i').count(), 0);
    for (const size of SIZES) {
      await page.setViewportSize(size);
      await fits(page);
      ok(await page.locator('.laboratory').evaluate((column) => column.scrollWidth <= column.clientWidth), 'the table is wider than its column');
    }
    await page.setViewportSize(SIZES[0]);
    await shoot(page, 'patient-hostile');
  });

  await tap.test('a new result appears without reload and the scroll stays', async () => {
    await page.goto('/#/p/dupont-marie');
    await page.locator('tr.row', { hasText: 'Céfotaxime' }).waitFor();
    await page.locator('.laboratory').evaluate((column) => column.scrollTo(0, 600));
    const anchor = page.locator('tr.row', { hasText: 'Leucocytes' });
    const before = (await anchor.boundingBox()).y;
    await page.waitForTimeout(300);
    mock.resultArrives('dupont-marie');
    await page.locator('tr.row', { hasText: 'Protéine C réactive' }).waitFor();
    await page.locator('tr.row', { hasText: 'Protéine C réactive' }).getByText('Nouveau').waitFor();
    match(await page.locator('.announcement').innerText(), /Nouveau résultat/);
    ok(Math.abs((await anchor.boundingBox()).y - before) < 3, 'the row under the eyes moved');
    await page.locator('.laboratory').evaluate((column) => column.scrollTo(0, 0));
    await shoot(page, 'patient-new-result');
  });

  await tap.test('viewer: identity, letters, slice, window, laterality, conflict', async () => {
    await page.goto(`/${CT}`);
    await pictureShown(page, 0);
    await page.locator('.identity', { hasText: 'DUPONT Marie Claire' }).waitFor();
    equal(await page.locator('.letter-left').innerText(), 'R');
    equal(await page.locator('.letter-right').innerText(), 'L');
    equal(await page.locator('.letter-top').innerText(), 'AH');
    match(await page.locator('.corner-br').innerText(), /C 40 {2}L 80/);
    await page.locator('canvas.picture').focus().catch(() => undefined);
    await page.keyboard.press('End');
    await pictureShown(page, 119);
    match(await page.locator('.corner-bl').innerText(), /Image 120 \/ 120/);
    for (let i = 0; i < 6; i++) await page.keyboard.press('PageUp');
    await pictureShown(page, 59);
    await accessible(page);
    await page.waitForTimeout(200);
    for (const size of SIZES) {
      await page.setViewportSize(size);
      await page.waitForTimeout(150);
      await fits(page);
      await shoot(page, `viewer-${size.width}`);
    }
    await page.setViewportSize(SIZES[0]);
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    await pictureShown(page, 57);
    await page.getByText('Image en conflit').waitFor();
    await shoot(page, 'viewer-conflict');
  });

  await tap.test('viewer: wheel scrolls, drag windows, Ctrl + wheel zooms, presets and reset', async () => {
    await page.goto('/#/');
    await page.goto(`/${CT}`);
    await pictureShown(page, 0);
    const box = await page.locator('canvas.picture').boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    for (let i = 1; i <= 3; i++) {
      await page.mouse.wheel(0, 100);
      await pictureShown(page, i);
    }
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2 + 40, { steps: 6 });
    await page.mouse.up();
    match(await page.locator('.corner-br').innerText(), /C (4[1-9]|[5-9]\d) {2}L (9\d|1\d\d)/);
    await page.keyboard.press('4');
    await page.waitForFunction(() => /C 500 {2}L 2000/.test(document.querySelector('.corner-br').textContent));
    equal(await page.getByRole('button', { name: /^Os/ }).getAttribute('aria-pressed'), 'true');
    await shoot(page, 'viewer-bone');
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -200);
    await page.keyboard.up('Control');
    await page.waitForFunction(() => Number.parseInt(document.querySelector('.zoom').textContent) > 120);
    await page.mouse.down({ button: 'middle' });
    await page.mouse.move(box.x + box.width / 2 + 200, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up({ button: 'middle' });
    await page.keyboard.press('r');
    await page.waitForFunction(() => /100 %/.test(document.querySelector('.zoom').textContent) && /C 40 {2}L 80/.test(document.querySelector('.corner-br').textContent));
    await page.getByRole('button', { name: 'Aide' }).click();
    await accessible(page);
    await shoot(page, 'viewer-help');
    await page.keyboard.press('Escape');
    await page.locator('.results').waitFor();
  });

  await tap.test('viewer: grey values are right: bone white, air black, MONOCHROME1 turned over', async () => {
    await page.goto(`/#/p/dupont-marie/st-ct/ct-scout`);
    await pictureShown(page, 0);
    await page.waitForTimeout(200);
    ok((await greyAt(page, 0.5, 0.02)) < 5, 'air');
    const brain = await greyAt(page, 0.5, 0.3);
    ok(brain > 60 && brain < 180, `brain ${brain}`);
    await page.goto('/#/p/dupont-marie/st-cr/cr-chest');
    await pictureShown(page, 0);
    await page.waitForFunction(() => !document.querySelector('.corner-br').textContent.includes('Aperçu'));
    await page.waitForTimeout(200);
    const spine = await greyAt(page, 0.5, 0.3);
    const lung = await greyAt(page, 0.39, 0.5);
    ok(spine > 200 && lung < 140, `MONOCHROME1: spine ${spine}, lung ${lung}`);
    await page.locator('.viewer-marks').getByText('en cours d’arrivée').waitFor();
    await shoot(page, 'viewer-chest');
  });

  await tap.test('viewer: laterality, missing orientation, colour multi-frame, syntax that is not drawn', async () => {
    await page.goto('/#/p/dupont-marie/st-hand/dx-hand');
    await pictureShown(page, 0);
    match(await page.locator('.laterality').innerText(), /Côté : R · Droit/);
    await page.getByText('Orientation non fournie').waitFor();
    await page.goto('/#/p/dupont-marie/st-us/us-abdo');
    await pictureShown(page, 0);
    await page.keyboard.press('PageDown');
    await pictureShown(page, 10);
    match(await page.locator('.corner-bl').innerText(), /Image 11 \/ 40\s+Trame 11/);
    equal(await page.locator('.corner-br strong').count(), 0);
    await page.goto('/#/p/dupont-marie/st-ct/ct-j2k');
    await page.getByText('Image non affichable ici').waitFor();
    match(await page.locator('.undrawn').innerText(), /JPEG 2000 Lossless \(1\.2\.840\.10008\.1\.2\.4\.90\)/);
    await accessible(page);
    await shoot(page, 'viewer-unsupported');
    await page.goto('/#/p/yamada/st-mr/mr-spine');
    await pictureShown(page, 0);
    equal(await page.locator('.letter-left').innerText(), 'A');
    await shoot(page, 'viewer-mr');
  });

  await tap.test('a study of two patients: each page shows its own images only', async () => {
    await page.goto('/#/p/greek');
    await page.getByText('des images de cet examen nomment un autre patient').waitFor();
    for (const [patient, count] of [['greek', 3], ['arabic', 2]]) {
      await page.goto(`/#/p/${patient}/st-mixed/mixed`);
      await page.waitForFunction((n) => document.querySelector('.corner-bl')?.textContent.includes(`Image 1 / ${n}`), count);
    }
  });

  await tap.test('viewer: an image that arrives joins the stack, marked, and the picture stays', async () => {
    await page.goto(`/${CT}`);
    await pictureShown(page, 0);
    await page.keyboard.press('PageDown');
    await pictureShown(page, 10);
    mock.imageArrives('dupont-marie', 'st-ct', 'ct-head');
    await page.waitForFunction(() => /Image 11 \/ 121/.test(document.querySelector('.corner-bl').textContent));
    await page.locator('.viewer-marks').getByText('en cours d’arrivée').waitFor();
  });

  await tap.test('the wheel on 512 × 512 slices, this computer four times slower', async () => {
    const debug = await context.newCDPSession(page);
    await page.goto('/#/p/dupont-marie');
    await page.locator('.series', { hasText: 'Crâne sans injection' }).waitFor();
    await debug.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    const begin = Date.now();
    await page.locator('.series', { hasText: 'Crâne sans injection' }).click();
    await pictureShown(page, 0);
    tap.note(`first image of a series: ${Date.now() - begin} ms (CPU throttled 4x)`);
    const rates = [];
    for (let round = 0; round < 3; round++) rates.push(await scrollRate(page, 3)); /* the first one reads the frames */
    tap.note(`scroll: ${rates.map((rate) => rate.toFixed(1)).join(', ')} images/s (CPU throttled 4x)`);
    await debug.send('Emulation.setCPUThrottlingRate', { rate: 1 });
    ok(Math.max(...rates) >= 20, 'at least 20 images a second');
  });

  await tap.test('at most six connections: never more than four pixel requests, one stream for two tabs', async () => {
    const other = await context.newPage();
    await other.goto('/#/p/dupont-marie');
    await other.locator('tr.row').first().waitFor();
    await page.waitForTimeout(300);
    equal(mock.streams.size, 1);
    mock.resultArrives('dupont-marie');
    await page.goto('/#/p/dupont-marie');
    await other.locator('tr.row', { hasText: 'Protéine C réactive' }).nth(1).waitFor();
    await other.close();
  });

  await tap.test('"to look at": damaged, repaired, refused, not understood, conflict', async () => {
    await page.getByRole('button', { name: /À voir/ }).click();
    await page.locator('.list tbody tr').nth(5).waitFor();
    match(await page.locator('.list tbody tr').nth(0).innerText(), /Endommagé[^]*body\/images\/202611-00000003\.body[^]*fanal repair --from[^]*Constaté/);
    match(await page.locator('.list tbody tr').nth(1).innerText(), /Réparé[^]*log\/00000002\.seg[^]*tel qu’il a été écrit/);
    await page.getByText('n’est pas ce qui est conservé : Identifiant.').waitFor();
    await accessible(page);
    await fits(page);
    await shoot(page, 'attention');
  });

  await tap.test('the disk: days for whoever looks after it, refusal for everybody', async () => {
    mock.state.disk = { space_state: 'days-15', days_left: 12, bytes_per_day: 4.23e10 };
    await page.reload();
    await page.locator('.list').waitFor();
    equal(await page.locator('.disk-days').count(), 0); /* a physician has no use for it */
    mock.state.role = 'admin';
    await page.reload();
    await page.getByText('Disque : encore 12 jours environ.').waitFor();
    match(await page.locator('.disk-days').innerText(), /42,3\sGo par jour/);
    equal(await page.locator('.disk-full').count(), 0);
    await accessible(page);
    await shoot(page, 'disk-days');
    mock.state.role = 'physician';
    mock.state.disk = { space_state: 'full', days_left: 0, bytes_per_day: 4.23e10 };
    await page.goto('/#/p/dupont-marie');
    await page.reload();
    await page.locator('.disk-full').waitFor();
    match(await page.locator('.disk-full').innerText(), /ne sont pas conservés/);
    await accessible(page);
    await fits(page);
    await shoot(page, 'disk-full');
    await page.getByRole('button', { name: 'EN : English' }).click();
    await page.getByText('new images and results are not kept').waitFor();
    await shoot(page, 'disk-full-english');
    mock.state.disk = { space_state: 'days-5', days_left: 1, bytes_per_day: 4.23e10 };
    mock.state.role = 'admin';
    await page.goto('/#/attention');
    await page.reload();
    await page.getByText('Disk: a day at most.').waitFor();
    await shoot(page, 'disk-days-english');
    await page.getByRole('button', { name: 'FR : Français' }).click();
    mock.state.disk = { space_state: 'ok' };
    mock.state.role = 'physician';
    await page.reload();
  });

  await tap.test('a twin says that it is a copy, how old, and when it takes nothing more', async () => {
    mock.state.twin = { twin: '10.0.0.5:8446', twin_position: 5000, twin_seconds: 12 };
    await page.goto('/#/p/dupont-marie');
    await page.reload();
    await page.getByText('Copie de secours : consultation seule.').waitFor();
    match(await page.locator('.twin').innerText(), /Complète il y a < 1 min/);
    await accessible(page);
    await fits(page);
    await shoot(page, 'twin');
    mock.state.twin = { twin: '10.0.0.5:8446', twin_position: 5000, twin_seconds: 10800, twin_refused: 'rolled back' };
    await page.getByRole('button', { name: 'EN : English' }).click();
    await page.reload();
    await page.getByText('It takes nothing more from the first machine.').waitFor();
    match(await page.locator('.twin').innerText(), /Complete as of 3 h ago/);
    equal(await page.getByText('rolled back').count(), 0); /* the machine's words are for the log */
    await accessible(page);
    await shoot(page, 'twin-refused-english');
    await page.getByRole('button', { name: 'FR : Français' }).click();
    mock.state.twin = { twin: '10.0.0.5:8446', twin_position: 5000, twin_seconds: 10800, twin_silent: 7200 };
    await page.reload();
    await page.getByText('Aucune nouvelle de la première machine depuis 2 h.').waitFor();
    equal(await page.locator('.twin').getAttribute('role'), 'alert');
    await accessible(page);
    await fits(page);
    await shoot(page, 'twin-silent');
    mock.state.twin = {};
    await page.reload();
    await page.locator('tr.row').first().waitFor();
    equal(await page.locator('.twin').count(), 0);
  });

  await tap.test('when Fanal is silent every view says so, and it comes back by itself', async () => {
    await page.goto('/#/p/dupont-marie');
    await page.locator('tr.row').first().waitFor();
    mock.goSilent();
    await page.locator('.lost').waitFor({ timeout: 15000 });
    await page.getByText('Fraîcheur des données inconnue').waitFor();
    equal(await page.locator('.source').count(), 0);
    await accessible(page);
    await shoot(page, 'connection-lost');
    mock.comeBack();
    await page.locator('.lost').waitFor({ state: 'detached', timeout: 15000 });
    await page.getByText('CT1 : dernière image').waitFor();
  });

  await tap.test('busy (503) passes by itself', async () => {
    await page.goto('/#/attention');
    await page.locator('.list').waitFor();
    mock.state.busy = 3;
    await page.goto('/#/p/greek');
    await page.locator('.identity').waitFor({ timeout: 12000 });
    mock.state.busy = 0;
  });

  await tap.test('in English, in light, at every size', async () => {
    await page.getByRole('button', { name: 'EN : English' }).click();
    await page.getByRole('button', { name: 'Light' }).click();
    await page.goto('/#/p/dupont-marie');
    await page.getByText('critical high').first().waitFor();
    equal(await page.evaluate(() => document.documentElement.lang), 'en');
    await page.locator('.thumb img').nth(3).waitFor();
    await accessible(page);
    await shoot(page, 'patient-light-english');
    await page.goto(`/${CT}`);
    await pictureShown(page, 0);
    await accessible(page);
    await shoot(page, 'viewer-light-english');
    await page.goto('/#/');
    await accessible(page);
    await page.getByRole('button', { name: 'FR : Français' }).click();
    await page.getByRole('button', { name: 'Sombre' }).click();
  });

  await tap.test('a session that ended keeps nothing on the screen, in this tab and the next', async () => {
    const other = await context.newPage();
    await other.goto('/#/p/dupont-marie');
    await other.locator('tr.row').first().waitFor();
    await page.goto('/#/p/dupont-marie');
    await page.locator('tr.row').first().waitFor();
    mock.state.signedIn = false;
    mock.resultArrives('dupont-marie');
    await page.locator('#password').waitFor({ timeout: 12000 });
    ok(!(await page.content()).includes('DUPONT'));
    match(await page.locator('main').innerText(), /session est terminée/);
    equal(new URL(page.url()).hash, '#/');
    await other.locator('#password').waitFor({ timeout: 12000 });
    ok(!(await other.content()).includes('DUPONT'));
    await other.close();
    await shoot(page, 'session-ended');
  });

  await tap.test('sign out', async () => {
    await signIn(page, 'demo', PASSWORD);
    await page.getByRole('button', { name: 'Se déconnecter' }).click();
    await page.locator('#password').waitFor();
    ok(!mock.state.signedIn);
  });

  await tap.test('sign out while Fanal is silent: it does not let in again when it is back', async () => {
    await signIn(page, 'demo', PASSWORD);
    await page.goto('/#/p/dupont-marie');
    await page.locator('tr.row').first().waitFor();
    mock.goSilent();
    await page.getByRole('button', { name: 'Se déconnecter' }).click();
    await page.locator('#password').waitFor();
    ok(!(await page.content()).includes('DUPONT'));
    mock.comeBack();
    for (let i = 0; i < 60 && mock.state.signedIn; i++) await page.waitForTimeout(200);
    ok(!mock.state.signedIn);
    equal(await page.locator('#password').count(), 1);
  });

  await tap.test('nothing complained: no CSP violation, no script error, no request elsewhere', async () => {
    equal(complaints.join('\n'), '');
  });

  await context.close();
  mock.close();
}
