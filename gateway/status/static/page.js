// Keeps a page live: regions that changed come as HTML by server-sent events, and moments are told as "3 min ago".
"use strict";

(() => {
  const body = document.body;
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const clockIsAhead = Date.now() - Date.parse(body.dataset.now);  // the browser's clock may be wrong, the gateway's counts
  const asServed = new WeakMap();  // element -> the HTML that made it, before moments were told anew
  let version = body.dataset.version;
  let source = null;
  let again = 0;

  // moments ---------------------------------------------------------------------------------------------------------

  const span = (seconds) => {
    if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} days`;
  };

  const phrases = {
    for: (seconds) => `for ${span(seconds)}`,
    ago: (seconds) => (seconds < 1 ? "just now" : `${span(seconds)} ago`),
    in: (seconds) => (seconds > -1 ? "now" : `in ${span(-seconds)}`),
  };

  const tellMoments = (within) => {
    const now = Date.now() - clockIsAhead;
    for (const time of within.querySelectorAll("time[data-how]")) {
      if (!time.title) time.title = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "long" });
      const words = phrases[time.dataset.how]((now - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== words) time.textContent = words;
    }
  };

  // regions ---------------------------------------------------------------------------------------------------------

  const parts = (within) => within.querySelectorAll("li[id], tr[id]");

  const remember = (within) => {
    for (const part of parts(within)) asServed.set(part, part.outerHTML);
  };

  const THINGS = "a, button, summary, input";

  const place = () => {
    const held = document.activeElement;
    const part = held && held.closest("[data-live] [id], [data-live]");
    if (!part) return null;
    const index = part === held ? null : [...part.querySelectorAll(THINGS)].indexOf(held);
    return { id: part.id, index, caret: [held.selectionStart, held.selectionEnd] };
  };

  const putBack = (where) => {
    if (!where || (document.activeElement && document.activeElement !== body)) return;
    const part = document.getElementById(where.id);
    const thing = part && (where.index === null ? part : part.querySelectorAll(THINGS)[where.index]);
    if (!thing) return;
    thing.focus({ preventScroll: true });
    if (thing.localName === "input") thing.setSelectionRange(...where.caret);
  };

  const ownOf = (whole, selector) =>  // without what belongs to a part of it
    [...whole.querySelectorAll(selector)].filter((one) => { const part = one.closest("li[id], tr[id]"); return !part || part === whole; });

  const carryOver = (old, fresh) => {  // what a person has opened and typed outlives what it is in
    const [details, inputs] = [ownOf(old, "details"), ownOf(old, "input")];
    ownOf(fresh, "details").forEach((one, index) => { one.open = Boolean(details[index] && details[index].open); });
    ownOf(fresh, "input").forEach((one, index) => {
      const before = inputs[index];
      if (before && before.id === one.id && before.value !== before.defaultValue) one.value = before.value;
    });
  };

  const replace = (region, html) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    remember(fresh.content);
    for (const part of parts(fresh.content)) {  // what did not change stays, with its focus and selection
      const old = document.getElementById(part.id);
      if (!old || !region.contains(old)) continue;
      if (asServed.get(old) === asServed.get(part)) part.replaceWith(old);
      else carryOver(old, part);
    }
    carryOver(region, fresh.content);
    region.replaceChildren(fresh.content);
    tellMoments(region);
  };

  const announcement = () => {  // without the moments in it, which change by themselves
    const words = [];
    for (const one of document.querySelectorAll("[data-announce]")) {
      const copy = one.cloneNode(true);
      copy.querySelectorAll("time").forEach((time) => time.remove());
      words.push(copy.textContent.trim());
    }
    return words.join(" ");
  };

  const take = (event) => {
    const before = announcement();
    const focus = place();
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      const region = document.getElementById(id);
      if (region && region.hasAttribute("data-live")) replace(region, html);
    }
    putBack(focus);
    version = event.lastEventId || version;
    if (announcement() !== before) said.textContent = announcement();
    document.dispatchEvent(new CustomEvent("regions-changed"));
  };

  // the line to the gateway -------------------------------------------------------------------------------------------

  const show = (words, state) => {
    if (live.textContent !== words) live.textContent = words;
    live.className = `live ${state}`;
  };

  const QUIET_MS = 40000;  // the gateway says something every 15 s
  const AGAIN_MS = 5000;
  let heardAt = Date.now();

  const listen = () => {
    clearTimeout(again);
    if (source) source.close();
    heardAt = Date.now();
    source = new EventSource(`/events?at=${encodeURIComponent(body.dataset.at)}&seen=${encodeURIComponent(version)}`);
    source.onopen = () => { heard(); show("live", "on"); };
    source.addEventListener("regions", (event) => { heard(); take(event); });
    source.addEventListener("beat", heard);
    source.addEventListener("gone", () => location.reload());
    source.onerror = () => {
      show(AWAY, "off");
      if (source.readyState === EventSource.CLOSED) askWhy();
    };
  };

  const AWAY = "no answer from the gateway, trying again";
  const heard = () => { heardAt = Date.now(); };

  const askWhy = async () => {  // the browser has given up, since it was refused
    again = setTimeout(listen, AGAIN_MS);
    const answer = await fetch(body.dataset.at, { method: "HEAD", redirect: "manual" }).catch(() => null);
    if (answer && (answer.type === "opaqueredirect" || answer.status === 404)) location.reload();  // to sign in again, or gone
    else if (answer && answer.ok) show("stands still: too many pages are open", "off");
  };

  const watchTheLine = () => {
    if (document.hidden || Date.now() - heardAt < QUIET_MS) return;
    show(AWAY, "off");
    listen();
  };

  document.addEventListener("visibilitychange", () => {  // nobody looks: the gateway need not work for it
    if (!document.hidden) listen();
    else if (source) source.close();
  });
  addEventListener("pagehide", () => source && source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });

  document.querySelectorAll("[data-live]").forEach(remember);
  tellMoments(document);
  setInterval(() => { if (!document.hidden) tellMoments(document); }, 1000);
  if (body.dataset.at) {
    listen();
    setInterval(watchTheLine, 5000);
  }
})();
