// The worklist: the row that was chosen stays chosen when the list moves, waiting times go on, what has risen is said.
(() => {
  "use strict";
  const list = document.getElementById("list");
  const title = document.title;
  const numbers = () => Object.fromEntries([...document.querySelectorAll("#counts [data-count]")].map((one) => [one.dataset.count, Number(one.dataset.number)]));
  const known = () => new Map([...list.querySelectorAll("tr[data-id]")].map((row) => [row.dataset.id, row.className]));

  const waited = (since) => {
    const seconds = Math.max(0, Math.floor((Date.now() - since) / 1000));
    const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
    if (days) return `${days} d ${hours % 24} h`;
    if (hours) return `${hours} h ${String(minutes % 60).padStart(2, "0")}`;
    return minutes ? `${minutes} min` : `${seconds} s`;
  };
  const tick = () => list.querySelectorAll("time[data-since]").forEach((time) => { time.textContent = waited(Date.parse(time.dateTime)); });
  const head = () => {
    const { CRITICAL = 0, URGENT = 0 } = numbers();
    document.title = CRITICAL + URGENT ? `(${CRITICAL + URGENT}) ${title}` : title;
  };

  // ---- Live: the server sends the rows and the counts when they change -------------------------------------------------
  const counts = document.getElementById("counts");
  const take = (html) => {
    const row = list.querySelector("tr.current");
    const [id, focused] = [row?.dataset.id, row?.contains(document.activeElement)];
    const before = known();
    list.innerHTML = html;
    const same = id && list.querySelector(`tr[data-id="${CSS.escape(id)}"]`);
    if (same) {
      same.classList.add("current");
      if (focused) same.querySelector("a").focus({ preventScroll: true });
    }
    const risen = [...list.querySelectorAll("tr.is-critical, tr.is-urgent")].filter((one) => !before.get(one.dataset.id)?.includes(one.className.split(" ")[0]));
    risen.forEach((one) => one.classList.add("risen"));
    if (risen.length) document.getElementById("risen").textContent = `${risen.length} urgent ${risen.length === 1 ? "study has" : "studies have"} come in.`;
    tick();
  };
  const listen = () => {
    const source = new EventSource(list.dataset.stream);
    source.addEventListener("rows", (event) => take(event.data));
    source.addEventListener("counts", (event) => { counts.innerHTML = event.data; head(); });
    // Refused, not lost: the session is over, or the console begins anew. Whoever may not any more is sent to log in.
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(() => window.radloop.call("GET", "/api/v1/me").catch(() => {}).then(listen), 5000); };
  };
  listen();

  const filters = document.querySelector("[data-filters]");
  filters.addEventListener("submit", () => filters.querySelectorAll("input, select").forEach((field) => { if (!field.value) field.disabled = true; }));
  filters.addEventListener("change", (event) => { if (event.target.matches("select")) filters.requestSubmit(); });
  addEventListener("pageshow", () => filters.querySelectorAll(":disabled").forEach((field) => { field.disabled = false; }));

  setInterval(tick, 10000);
  head();
})();
