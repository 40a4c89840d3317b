// Keep a page live: changed regions come as HTML in server-sent events, and times are shown as "3 min ago".
"use strict";

(() => {
  const body = document.body;
  const live = document.getElementById("live");
  const announcements = document.getElementById("announcements");
  const clockOffset = Date.now() - Date.parse(body.dataset.now);  // times are shown by the clock of the gateway, not of the browser
  const servedHtml = new WeakMap();  // element -> the HTML it was made from, before times were rewritten
  let version = body.dataset.version;
  let source = null;
  let retryTimer = 0;

  // times -----------------------------------------------------------------------------------------------------------

  const duration = (seconds) => {
    if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} days`;
  };

  const phrases = {
    for: (seconds) => `for ${duration(seconds)}`,
    ago: (seconds) => (seconds < 1 ? "just now" : `${duration(seconds)} ago`),
    in: (seconds) => (seconds > -1 ? "now" : `in ${duration(-seconds)}`),
  };

  const updateTimes = (within) => {
    const now = Date.now() - clockOffset;
    for (const time of within.querySelectorAll("time[data-how]")) {
      if (!time.title) time.title = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "long" });
      const words = phrases[time.dataset.how]((now - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== words) time.textContent = words;
    }
  };

  // regions ---------------------------------------------------------------------------------------------------------

  const parts = (within) => within.querySelectorAll("li[id], tr[id]");

  const remember = (within) => {
    for (const part of parts(within)) servedHtml.set(part, part.outerHTML);
  };

  const FOCUSABLE = "a, button, summary, input";

  const focusPlace = () => {
    const focused = document.activeElement;
    const part = focused && focused.closest("[data-live] [id], [data-live]");
    if (!part) return null;
    const index = part === focused ? null : [...part.querySelectorAll(FOCUSABLE)].indexOf(focused);
    return { id: part.id, index, caret: [focused.selectionStart, focused.selectionEnd] };
  };

  const restoreFocus = (where) => {
    if (!where || (document.activeElement && document.activeElement !== body)) return;
    const part = document.getElementById(where.id);
    const element = part && (where.index === null ? part : part.querySelectorAll(FOCUSABLE)[where.index]);
    if (!element) return;
    element.focus({ preventScroll: true });
    if (element.localName === "input") element.setSelectionRange(...where.caret);
  };

  const ownElements = (whole, selector) =>  // without the elements of its parts
    [...whole.querySelectorAll(selector)].filter((one) => { const part = one.closest("li[id], tr[id]"); return !part || part === whole; });

  const copyUserState = (old, fresh) => {  // keep what a person has opened and typed
    const [details, inputs] = [ownElements(old, "details"), ownElements(old, "input")];
    ownElements(fresh, "details").forEach((one, index) => { one.open = Boolean(details[index] && details[index].open); });
    ownElements(fresh, "input").forEach((one, index) => {
      const before = inputs[index];
      if (before && before.id === one.id && before.value !== before.defaultValue) one.value = before.value;
    });
  };

  const replace = (region, html) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    remember(fresh.content);
    for (const part of parts(fresh.content)) {  // unchanged parts stay, with their focus and selection
      const old = document.getElementById(part.id);
      if (!old || !region.contains(old)) continue;
      if (servedHtml.get(old) === servedHtml.get(part)) part.replaceWith(old);
      else copyUserState(old, part);
    }
    copyUserState(region, fresh.content);
    region.replaceChildren(fresh.content);
    updateTimes(region);
  };

  const announcement = () => {  // without the times in it, which change all the time
    const words = [];
    for (const one of document.querySelectorAll("[data-announce]")) {
      const copy = one.cloneNode(true);
      copy.querySelectorAll("time").forEach((time) => time.remove());
      words.push(copy.textContent.trim());
    }
    return words.join(" ");
  };

  const applyRegions = (event) => {
    const before = announcement();
    const focus = focusPlace();
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      const region = document.getElementById(id);
      if (region && region.hasAttribute("data-live")) replace(region, html);
    }
    restoreFocus(focus);
    version = event.lastEventId || version;
    if (announcement() !== before) announcements.textContent = announcement();
    document.dispatchEvent(new CustomEvent("regions-changed"));
  };

  // connection -------------------------------------------------------------------------------------------------------

  const showState = (text, state) => {
    if (live.textContent !== text) live.textContent = text;
    live.className = `live ${state}`;
  };

  const SILENCE_MS = 40000;  // the gateway sends something every 15 s
  const RETRY_MS = 5000;
  let receivedAt = Date.now();

  const connect = () => {
    clearTimeout(retryTimer);
    if (source) source.close();
    receivedAt = Date.now();
    source = new EventSource(`/events?at=${encodeURIComponent(body.dataset.address)}&seen=${encodeURIComponent(version)}`);
    source.onopen = () => { noteReceived(); showState("live", "on"); };
    source.addEventListener("regions", (event) => { noteReceived(); applyRegions(event); });
    source.addEventListener("beat", noteReceived);
    source.addEventListener("gone", () => location.reload());
    source.onerror = () => {
      showState(NO_RESPONSE, "off");
      if (source.readyState === EventSource.CLOSED) findOutWhy();
    };
  };

  const NO_RESPONSE = "no response from the gateway, trying again";
  const noteReceived = () => { receivedAt = Date.now(); };

  const findOutWhy = async () => {  // the browser gives up when the request is refused
    retryTimer = setTimeout(connect, RETRY_MS);
    const response = await fetch(body.dataset.address, { method: "HEAD", redirect: "manual" }).catch(() => null);
    if (response && (response.type === "opaqueredirect" || response.status === 404)) location.reload();  // sign in again, or the page is gone
    else if (response && response.ok) showState("not updated: too many pages are open", "off");
  };

  const checkConnection = () => {
    if (document.hidden || Date.now() - receivedAt < SILENCE_MS) return;
    showState(NO_RESPONSE, "off");
    connect();
  };

  document.addEventListener("visibilitychange", () => {  // a hidden page causes no work
    if (!document.hidden) connect();
    else if (source) source.close();
  });
  addEventListener("pagehide", () => source && source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });

  document.querySelectorAll("[data-live]").forEach(remember);
  updateTimes(document);
  setInterval(() => { if (!document.hidden) updateTimes(document); }, 1000);
  if (body.dataset.address) {
    connect();
    setInterval(checkConnection, 5000);
  }
})();
