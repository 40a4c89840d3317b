// What a browser finds wrong with the page that it shows; each function returns texts, none when all is well.
window.lookAtPage = {
  // Elements that a person can use, in the order of the page.
  usable() {
    const selector = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
    return [...document.querySelectorAll(selector)].filter((one) => {
      const style = getComputedStyle(one);
      const isShown = one.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
      return isShown && !one.disabled && one.tabIndex >= 0 && style.pointerEvents !== "none";
    });
  },
  named(one) {
    return one.outerHTML.slice(0, 120).replace(/\s+/g, " ");
  },
  // What is wider than the screen.
  overflows() {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const wide = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > width + 1);
    return [`it is ${document.documentElement.scrollWidth} px wide, because of ${wide.slice(0, 3).map(this.named).join(" and ")}`];
  },
  // Text that is cut off although nothing says so: no ellipsis, no scroll bar.
  cut() {
    return [...document.querySelectorAll("main *, header *")].filter((one) => {
      const style = getComputedStyle(one);
      return one.checkVisibility() && style.overflowX === "hidden" && style.textOverflow !== "ellipsis" && !style.webkitLineClamp.match(/\d/)
        && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 2 && !one.closest(".uplot, .unseen, svg");
    }).map((one) => `cut off: ${this.named(one)}`);
  },
  async breaks(rules) {
    const only = rules ? { runOnly: { type: "rule", values: rules } } : { rules: { "target-size": { enabled: true } } };
    const found = await axe.run(document, { ...only, resultTypes: ["violations"], elementRef: false });
    return found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  },
  async lookedAt(rules) {
    return [...this.overflows(), ...this.cut(), ...(await this.breaks(rules))];
  },
  // How often Tab is pressed from the element with the focus to this one; negative for Shift and Tab.
  stepsTo(wanted) {
    const usable = this.usable();
    return usable.indexOf(wanted) - usable.indexOf(document.activeElement);
  },
  // From here on, remember each element that gets the focus, and whether one sees it.
  watchFocus() {
    this.focused = new Map();
    addEventListener("focusin", ({ target }) => {
      const style = getComputedStyle(target);
      const inside = target.querySelector(":focus-visible") || target;
      const isSeen = inside.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      const box = target.getBoundingClientRect();
      this.focused.set(target, isSeen && box.width > 0 && box.right > 0);
    });
    document.activeElement.blur();
    getSelection().removeAllRanges();
    return this.usable().length;
  },
  // What Tab did not reach, and where the focus is not seen. One of several radio buttons stands for all.
  unreached() {
    const radio = (one) => (one.type === "radio" ? `${one.form?.id}${one.name}` : null);
    const names = new Set([...this.focused.keys()].map(radio));
    const missed = this.usable().filter((one) => !this.focused.has(one) && !(radio(one) && names.has(radio(one))));
    const unseen = [...this.focused].filter(([, isSeen]) => !isSeen).map(([one]) => one);
    return [...missed.map((one) => `Tab does not reach ${this.named(one)}`), ...unseen.map((one) => `no focus is seen on ${this.named(one)}`)];
  },
};
