// The panel of the wire. The recorder keeps what passes; what shows it is loaded when the panel is first open.

/** Fills `element` with the panel; `ping()` gives a promise of the milliseconds of a round trip. */
export function mountWire(element, { recorder, ping }) {
  const show = async () => {
    if (element.hidden) return;
    watcher.disconnect();
    const { Panel } = await import('./panel.js');
    new Panel(element, recorder, ping);
  };
  const watcher = new MutationObserver(show);
  watcher.observe(element, { attributeFilter: ['hidden'] });
  show();
}
