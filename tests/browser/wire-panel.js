// A panel of the wire that shows a test's own sockets, and nothing of the page's.

/** Puts another panel in the place of the page's: its recorder is empty, its ping takes 42 milliseconds. */
async function mountAnother() {
  const [{ mountWire }, { Recorder }] = await Promise.all([import('/wire/index.js'), import('/wire/recorder.js')]);
  const panel = document.createElement('aside');
  document.getElementById('wire').replaceWith(panel);
  panel.id = 'wire';
  window.recorder = new Recorder();
  mountWire(panel, { recorder: window.recorder, ping: async () => 42 });
}

/** A tab with such a panel open; `prepare` runs in it before the panel is shown. */
export async function openPanel(world, options, prepare = () => {}) {
  const page = await world.open(options);
  if (await page.locator('#wire').isHidden()) await page.click('#wire-toggle');
  await page.locator('#wire .wire-tools').waitFor();
  await page.evaluate(mountAnother);
  await page.evaluate(prepare);
  await page.locator('#wire .wire-tools').waitFor();
  return page;
}
