// Check the text of the configuration while it is edited, and go to the line of a mistake.
"use strict";

(() => {
  const form = document.getElementById("edit");
  const text = document.getElementById("text");
  const remarks = document.getElementById("remarks");
  const WAIT_MS = 900;
  let timer = 0;
  let latest = 0;

  const goTo = (number) => {
    const before = text.value.split("\n").slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
    const end = text.value.indexOf("\n", before);
    text.focus();
    text.setSelectionRange(before, end < 0 ? text.value.length : end);
    const height = text.scrollHeight / text.value.split("\n").length;
    text.scrollTop = Math.max(0, (number - 6) * height);
  };

  const link = () => {
    for (const line of remarks.querySelectorAll("p.wrong[data-line] > .number")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "number";
      button.textContent = line.textContent;
      const number = Number(line.parentElement.dataset.line);
      button.addEventListener("click", () => goTo(number));
      line.replaceWith(button);
    }
  };

  const check = async () => {
    const number = ++latest;
    const body = new URLSearchParams(new FormData(form));
    try {
      const response = await fetch("/configuration/check", { method: "POST", body });
      const answer = await response.text();
      if (number !== latest || !(response.headers.get("Content-Type") ?? "").startsWith("text/html") || !response.ok) {
        return;
      }
      remarks.innerHTML = answer;
      remarks.hidden = false;
      link();
    } catch { /* the page tells when nobody answers */ }
  };

  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, WAIT_MS);
  });
  link();
})();
