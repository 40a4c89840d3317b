// Loads the page anew when what it shows has changed: also when the gateway has started, and this page is another one.
"use strict";

(() => {
  const live = document.getElementById("live");
  const look = async () => {
    try {
      const answer = await fetch("/api/v1/setup", { cache: "no-store" });
      const version = document.body.dataset.version;  // a page without one has nothing that changes by itself
      if (answer.status === 404 || (version && answer.headers.get("ETag") !== `"${version}"`)) location.reload();
      live.textContent = "live";
      live.className = "live on";
    } catch {  // the gateway starts just now, or is gone
      live.textContent = "no answer from the gateway, trying again";
      live.className = "live off";
    }
  };

  look();
  setInterval(look, 2000);
})();
