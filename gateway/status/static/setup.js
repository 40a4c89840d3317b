// Update what was found when it has changed, keep what a person has entered, and follow the gateway when it has started.
"use strict";

(() => {
  const live = document.getElementById("live");
  let version = document.body.dataset.version;  // a page without a version does not change by itself

  const entered = (region) => {
    const values = new Map();
    for (const field of region.querySelectorAll("input")) {
      const isChoice = field.type === "radio" || field.type === "checkbox";
      values.set(isChoice ? `${field.name}=${field.value}` : field.name, isChoice ? field.checked : field.value);
    }
    return values;
  };

  const putBack = (region, values) => {
    for (const field of region.querySelectorAll("input")) {
      const isChoice = field.type === "radio" || field.type === "checkbox";
      const name = isChoice ? `${field.name}=${field.value}` : field.name;
      if (!values.has(name)) continue;
      if (isChoice) field.checked = values.get(name);
      else field.value = values.get(name);
    }
  };

  const replace = (region, fresh) => {
    if (region.innerHTML === fresh.innerHTML) return;
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    const at = focused && focused.type === "text" ? [focused.selectionStart, focused.selectionEnd] : null;
    const values = entered(region);
    const open = [...region.querySelectorAll("details[open][id]")].map((one) => one.id);
    region.replaceChildren(...fresh.childNodes);
    putBack(region, values);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (!focused || !focused.name) return;
    const again = [...region.querySelectorAll("input, button")].find(
      (one) => one.name === focused.name && one.value === focused.value,
    );
    again?.focus();
    if (at) again?.setSelectionRange(...at);
  };

  const update = async () => {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    const text = await answer.text();
    const page = new DOMParser().parseFromString(text, "text/html");
    const regions = [...document.querySelectorAll("[data-live]")];
    const isOther = !page.querySelector("[data-live]") || regions.some((one) => !page.getElementById(one.id));
    if (!answer.ok || answer.redirected || isOther) {
      location.reload();
      return;
    }
    for (const region of regions) replace(region, page.getElementById(region.id));
    version = page.body.dataset.version;
  };

  const check = async () => {
    try {
      const answer = await fetch("/", { method: "HEAD", cache: "no-store" });
      const current = answer.headers.get("ETag");
      if (answer.redirected) location.reload();  // signed out meanwhile
      else if (answer.ok && !current) location.assign("/");  // the gateway has started, and serves its own page here
      else if (answer.ok && version && current !== `"${version}"` && document.querySelector("[data-live]")) await update();
      live.textContent = live.dataset.on;
      live.className = "live on";
    } catch {  // the gateway is starting or has stopped
      live.textContent = live.dataset.off;
      live.className = "live off";
    }
    setTimeout(check, 1000);
  };

  document.getElementById("problems")?.focus();
  check();
})();
