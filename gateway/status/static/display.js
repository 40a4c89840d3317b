// Show times, numbers and temperatures as the person at this browser wants them, and remember the choice.
"use strict";

(() => {
  const STORE = "display";
  const root = document.documentElement;
  const texts = document.getElementById("display-texts").dataset;
  const clockOffset = Date.now() - Date.parse(document.body.dataset.now);  // times are shown by the clock of the gateway, not of the browser
  const form = document.getElementById("display");
  let choice = {};
  try { choice = JSON.parse(localStorage.getItem(STORE)) || {}; } catch { /* nothing is remembered here */ }

  const fill = (text, value) => text.replace("{}", value);

  // times -----------------------------------------------------------------------------------------------------------

  const duration = (seconds) => {
    if (seconds < 60) return fill(texts.seconds, Math.max(0, Math.round(seconds)));
    if (seconds < 3600) return fill(texts.minutes, Math.floor(seconds / 60));
    if (seconds < 48 * 3600) return fill(texts.hours, Math.floor(seconds / 3600));
    return fill(texts.days, Math.floor(seconds / 86400));
  };

  const phrases = {
    for: (seconds) => fill(texts.for, duration(seconds)),
    ago: (seconds) => (seconds < 1 ? texts.now : fill(texts.ago, duration(seconds))),
    age: (seconds) => duration(seconds),
    in: (seconds) => (seconds > -1 ? texts.due : fill(texts.in, duration(-seconds))),
  };

  const zone = () => ({ gateway: document.body.dataset.zone, utc: "UTC" })[choice.zone];

  const dateLocale = () => {  // the names of months are in the language of the page
    const isOfPage = (locale) => Boolean(locale) && locale.split("-")[0] === root.lang;
    return [choice.numbers, ...navigator.languages].find(isOfPage) || root.lang;
  };

  const timeFormats = new Map();  // making one takes far longer than using it, and a page has hundreds of times

  const timeFormat = (options) => {
    const locale = dateLocale();
    try {
      return new Intl.DateTimeFormat(locale, { ...options, timeZone: zone() });
    } catch {  // a browser that knows no zones by their offset
      return new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" });
    }
  };

  const inZone = (at, options) => {
    if (Number.isNaN(at.getTime())) return "";  // an element whose time is not known yet
    const key = JSON.stringify(options);
    if (!timeFormats.has(key)) timeFormats.set(key, timeFormat(options));
    return timeFormats.get(key).format(at);
  };

  const absolute = (at) => inZone(at, { dateStyle: "medium", timeStyle: "long" });

  const now = () => Date.now() - clockOffset;

  const updateTimes = (within) => {
    const current = now();
    for (const time of within.querySelectorAll("time[data-how]")) {
      const at = Date.parse(time.dateTime);
      if (time.dataset.how === "precise") {
        const words = inZone(new Date(at), { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
        if (time.textContent !== words) time.textContent = words;
        continue;
      }
      if (time.dataset.how === "clock" || time.dataset.how === "moment") {  // of today, or of any day
        const date = time.dataset.how === "moment" ? { dateStyle: "medium" } : {};
        const words = inZone(new Date(at), { ...date, timeStyle: "medium" });
        if (time.textContent !== words) time.textContent = words;
        continue;
      }
      if (!time.title) time.title = absolute(new Date(at));
      const words = phrases[time.dataset.how]((current - at) / 1000);
      if (time.textContent !== words) time.textContent = words;
    }
  };

  // numbers ---------------------------------------------------------------------------------------------------------

  const formats = new Map();

  const number = (value, decimals) => {
    if (!formats.has(decimals)) {
      const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals, useGrouping: "min2" };
      formats.set(decimals, new Intl.NumberFormat(choice.numbers || undefined, digits));
    }
    return formats.get(decimals).format(value);
  };

  const inSpan = (value, low, high) => {  // with as many decimals as tell values between these two apart
    const size = high > low ? (high - low) / 10 : Math.abs(value);
    return number(value, size ? Math.min(3, Math.max(0, 1 - Math.floor(Math.log10(size)))) : 0);
  };

  const updateNumbers = (within) => {
    for (const one of within.querySelectorAll("[data-number]")) {
      const written = one.dataset.number;
      const decimals = (written.split(".")[1] || "").length;
      const unit = one.nextElementSibling && one.nextElementSibling.classList.contains("unit") ? one.nextElementSibling : null;
      if (unit && !unit.dataset.served) unit.dataset.served = unit.textContent;
      const isFahrenheit = unit && choice.temperature === "°F" && unit.dataset.served === "°C";
      one.textContent = number(isFahrenheit ? Number(written) * 1.8 + 32 : Number(written), decimals);
      if (unit) unit.textContent = isFahrenheit ? "°F" : unit.dataset.served;
    }
  };

  const update = (within) => { updateTimes(within); updateNumbers(within); };

  // the choice ------------------------------------------------------------------------------------------------------

  const choose = () => {
    choice = Object.fromEntries([...form.elements].filter((one) => one.name && one.value).map((one) => [one.name, one.value]));
    try { localStorage.setItem(STORE, JSON.stringify(choice)); } catch { /* it counts until the page is left */ }
    formats.clear();
    timeFormats.clear();
    for (const time of document.querySelectorAll("time[title]")) time.removeAttribute("title");
    update(document);
    document.dispatchEvent(new CustomEvent("display-changed"));
  };

  if (form) {
    for (const one of form.elements) if (one.name && choice[one.name]) one.value = choice[one.name];
    form.hidden = false;
    form.addEventListener("change", choose);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  root.classList.add("scripted");
  window.gatewayDisplay = { update, now, number, inSpan, absolute, inZone };
  update(document);
  setInterval(() => { if (!document.hidden) updateTimes(document); }, 1000);
})();
