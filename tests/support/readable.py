"""What a page must be in a browser for everybody to read it, asked of the page itself."""

from __future__ import annotations

from support.browser import Page

WIDTHS = (400, 1200)
# What sticks out of the window, or out of what holds it, and cannot be scrolled to.
CUT_OFF = """
(() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > window.innerWidth)
    found.push(`the page is ${root.scrollWidth} wide in a window of ${window.innerWidth}`);
  const scrolls = one => ['auto', 'scroll'].includes(getComputedStyle(one).overflowX);
  for (const one of document.querySelectorAll('pre, table, svg, img')) {
    const box = one.getBoundingClientRect();
    if (box.width === 0 || getComputedStyle(one).visibility === 'hidden') continue;
    if (one.scrollWidth > one.clientWidth + 1 && one.matches('pre, table') && !scrolls(one)
        && getComputedStyle(one).overflowX !== 'visible')
      found.push(`${one.tagName} hides a part: ${one.textContent.slice(0, 40)}`);
    let holder = one;
    while (holder && !scrolls(holder)) holder = holder.parentElement;
    if (!holder && (box.right > window.innerWidth + 1 || box.left < -1))
      found.push(`${one.tagName} is cut off: ${one.textContent.slice(0, 40)}`);
    if (holder && holder !== one) {
      const frame = holder.getBoundingClientRect();
      if (frame.right > window.innerWidth + 1)
        found.push(`${one.tagName} scrolls in what is cut off: ${one.textContent.slice(0, 40)}`);
    }
  }
  return found;
})()
"""
# The contrast of what SELECTOR finds with what it is drawn on, the lowest; -1: nothing is seen.
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = colour => {
    const [r, g, b] = colour.slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = one => {
    for (let at = one; at; at = at.parentElement) {
      if (at.tagName === 'svg' && at !== one && at.querySelector(':scope > rect'))
        return rgba(getComputedStyle(at.querySelector(':scope > rect')).fill);
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 200) return colour;
    }
    return rgba(getComputedStyle(document.documentElement).colorScheme.includes('dark')
      && matchMedia('(prefers-color-scheme: dark)').matches ? '#121212' : '#ffffff');
  };
  const ink = one => {
    const style = getComputedStyle(one);
    if (!(one instanceof SVGElement)) return rgba(style.color);
    return rgba(one.tagName === 'text' ? style.fill : style.stroke);
  };
  let lowest = Infinity;
  for (const one of document.querySelectorAll(SELECTOR)) {
    const box = one.getBoundingClientRect();
    if (box.width + box.height === 0) return -1;
    const [a, b] = [light(ink(one)), light(paper(one))];
    lowest = Math.min(lowest, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return lowest === Infinity ? -1 : lowest;
})()
"""


def cut_off(page: Page) -> list[str]:
    found = page.evaluate(CUT_OFF)
    assert isinstance(found, list)
    return found


def contrast(page: Page, selector: str) -> float:
    """As WCAG counts it, from 1 to 21; 3 is the least for lines, 4.5 for text."""
    found = page.evaluate(CONTRAST.replace("SELECTOR", repr(selector)))
    return float(found)


def paper_is_dark(page: Page) -> bool:
    """Whether what the page is written on is dark."""
    return contrast(page, "body") > 0 and bool(
        page.evaluate(
            """(() => { const colour = getComputedStyle(document.body).backgroundColor;
            const parts = colour.match(/[0-9.]+/g).map(Number);
            return parts.slice(0, 3).reduce((a, b) => a + b) < 200 && parts[3] !== 0; })()"""
        )
    )
