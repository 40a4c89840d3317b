// Returns the texts on a page whose contrast with what is behind them is below `least`: WCAG 2.2, relative luminance.
(least) => {
  const channels = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { red, green, blue, alpha };
  };
  const over = (front, back) => {
    const mixed = (name) => front[name] * front.alpha + back[name] * (1 - front.alpha);
    return { red: mixed("red"), green: mixed("green"), blue: mixed("blue"), alpha: 1 };
  };
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(channels(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((back, front) => over(front, back), channels("rgb(255, 255, 255)"));
  };
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ({ red, green, blue }) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!hasText(element) || element.closest(".unseen, .skip, script, style, noscript") || !element.checkVisibility()) continue;
    const back = behind(element);
    const found = contrast(over(channels(getComputedStyle(element).color), back), back);
    if (found < least) faint.push(`${element.localName}.${element.className}: ${element.textContent.trim().slice(0, 40)}: ${found.toFixed(2)}`);
  }
  return faint;
}
