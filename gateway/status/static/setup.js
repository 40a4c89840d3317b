// Reload the page when its content has changed, and when the gateway has started and serves another page here.
"use strict";

(() => {
  const live = document.getElementById("live");
  const check = async () => {
    try {
      const answer = await fetch("/api/v1/setup", { cache: "no-store" });
      const version = document.body.dataset.version;  // a page without a version does not change by itself
      if (answer.status === 404 || (version && answer.headers.get("ETag") !== `"${version}"`)) location.reload();
      live.textContent = "live";
      live.className = "live on";
    } catch {  // the gateway is starting or has stopped
      live.textContent = "no response from the gateway, trying again";
      live.className = "live off";
    }
  };

  check();
  setInterval(check, 2000);
})();
