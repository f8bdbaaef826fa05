// A new token's secret: shown once, in this page alone, never kept.
(() => {
  "use strict";
  document.addEventListener("radloop:done", (event) => {
    if (!event.target.matches("form[data-token]")) return;
    document.getElementById("secret-text").textContent = event.detail.token;
    const box = document.getElementById("secret");
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
    document.getElementById("secret-copy").focus();
    event.target.reset();
  });
  document.getElementById("secret-copy")?.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById("secret-text").textContent);
      window.radloop.said("Copied.");
    } catch {
      window.radloop.said("This browser does not let a page copy: select the text.", true);
    }
  });
})();
