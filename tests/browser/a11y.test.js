// An automated accessibility check (axe) of all there is to see, in both languages and both themes.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { enter, loaded, say, useWorld } from './harness.js';

const world = useWorld();
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds that is serious, in a line each. */
async function findings(page) {
  // Through the browser's own door, past the content security policy.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }));
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 120)).join(' | ')}`);
}

for (const locale of ['en-GB', 'zh-CN']) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${locale}, ${colorScheme}: nothing serious is found`, async () => {
      const page = await world.open({ path: `/?room=${locale}-${colorScheme}`, locale, colorScheme });
      await page.locator('#username').waitFor();
      await loaded(page);
      assert.deepEqual(await findings(page), [], 'login');
      await enter(page, 'Ann');
      const ben = await world.open({ path: `/?room=${locale}-${colorScheme}`, locale });
      await enter(ben, 'Ben', 'panda');
      await say(page, 'see https://example.org');
      await page.locator('#lines [data-state=sent]').waitFor();
      await ben.locator('#people').getByText('Ann').click();
      await say(ben, 'psst');
      await page.locator('.message.private').waitFor();
      await page.locator('#people').getByText('Ben').click();
      await page.locator('#private-bar').waitFor();
      await page.click('#emoji');
      await page.locator('.emoji-panel').waitFor();
      assert.deepEqual(await findings(page), [], 'room');
      await page.keyboard.press('Escape');
      for (const lesson of ['socket', 'doors', 'polling', 'break', 'server']) {
        await page.goto(`${world.server.url}/?room=${locale}-${colorScheme}#lessons/${lesson}`);
        await page.locator(`a[href="#lessons/${lesson}"][aria-current]`).waitFor();
        await page.locator('.lesson h3').waitFor();
        assert.deepEqual(await findings(page), [], lesson);
      }
      await Promise.all([page, ben].map((each) => each.context().close()));
    });
  }
}
