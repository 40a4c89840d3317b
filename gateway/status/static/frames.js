// Copy the frames as text, as the download has them.
"use strict";

(() => {
  const button = document.getElementById("copy");
  if (!button) return;
  const told = document.getElementById("copy-text");

  const copyOld = (text) => {  // a page that is not served over TLS has no clipboard
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "unseen";
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    return isDone;
  };

  button.hidden = false;
  button.addEventListener("click", async () => {
    told.textContent = "";
    const answer = await fetch(button.dataset.from).catch(() => null);
    const text = answer && answer.ok ? await answer.text() : "";
    let isDone = false;
    if (text && navigator.clipboard) isDone = await navigator.clipboard.writeText(text).then(() => true, () => false);
    if (text && !isDone) isDone = copyOld(text);
    told.textContent = isDone ? button.dataset.copied : button.dataset.failed;
    button.focus();
  });
})();
