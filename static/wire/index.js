// The panel of the wire. The recorder keeps what passes; what shows it is loaded when the panel is first open.

/**
 * Puts the panel into `element`; `ping()` gives a promise of the milliseconds of a round trip. `show(isOpen)` of what it gives
 * opens and closes the panel.
 */
export function mountWire(element, { recorder, ping }) {
  let panel = null;
  const show = async (isOpen) => {
    element.hidden = !isOpen;
    if (!isOpen) return;
    panel ??= import('./panel.js').then(({ Panel }) => new Panel(element, recorder, ping));
    await panel;
  };
  show(!element.hidden);
  return { show };
}
