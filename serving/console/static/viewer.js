// The images of a study on a canvas: window and level, zoom, pan, scroll through a stack, heat and region over it.
// Frames come as 16-bit numbers; they live in this page's memory only, the last few of them.
(() => {
  "use strict";
  const box = document.getElementById("viewer");
  const canvas = document.getElementById("stage");
  const context = canvas.getContext("2d", { alpha: false });
  const note = document.getElementById("viewer-note");
  const corner = (name) => document.getElementById(`corner-${name}`);
  const KEPT_BYTES = 400e6;
  const AHEAD = 6;
  const PARALLEL = 4;

  // ---- Frames: fetched a few at a time, those nearest to the reader first -------------------------------------------
  const frames = new Map();
  let kept = 0;
  let wanted = [];
  let running = 0;
  const keyOf = (image) => `${image.instance_id}/${image.frame}`;

  const parse = async (answer) => {
    const facts = JSON.parse(answer.headers.get("X-Frame"));
    const data = await answer.arrayBuffer();
    return { facts, pixels: facts.samples === 1 ? new Uint16Array(data) : new Uint8Array(data), bytes: data.byteLength, used: performance.now() };
  };
  const get = async (image) => {
    for (let tries = 0; ; tries += 1) {
      const answer = await fetch(`/api/v1/instances/${image.instance_id}/frames/${image.frame}`);
      if (answer.ok) return parse(answer);
      if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      const told = answer.headers.get("content-type")?.includes("json") ? await answer.json() : {};
      if (answer.status !== 503 || tries > 4) throw new Error(told.error || `refused (${answer.status})`);
      await new Promise((resolve) => { setTimeout(resolve, 400 * (tries + 1)); });
    }
  };
  const forget = () => {
    const oldest = [...frames.entries()].filter(([, one]) => one.pixels).sort((a, b) => a[1].used - b[1].used);
    while (kept > KEPT_BYTES && oldest.length > 2) {
      const [key, one] = oldest.shift();
      kept -= one.bytes;
      frames.delete(key);
    }
  };
  const pump = () => {
    while (running < PARALLEL && wanted.length) {
      const image = wanted.shift();
      const key = keyOf(image);
      if (frames.has(key)) continue;
      running += 1;
      frames.set(key, { pending: true, used: performance.now() });
      get(image).then((made) => { frames.set(key, made); kept += made.bytes; forget(); }, (error) => { frames.set(key, { error: error.message, used: performance.now() }); })
        .finally(() => { running -= 1; if (current() && keyOf(current()) === key) show(); pump(); });
    }
  };

  // ---- Where the reader is -------------------------------------------------------------------------------------------
  let stacks = [];
  let at = { stack: 0, image: 0 };
  let view = { zoom: 1, x: 0, y: 0 };
  let voi = null; // the reader's own window; null: the image's
  let inverted = false;
  let preset = 0;
  const current = () => stacks[at.stack]?.images[at.image];
  const frame = () => { const one = current() && frames.get(keyOf(current())); return one?.pixels ? one : null; };

  const order = () => {
    const images = stacks[at.stack].images;
    const near = [images[at.image]];
    for (let step = 1; step <= AHEAD; step += 1) near.push(images[at.image + step], images[at.image - step]);
    wanted = near.filter((one) => one && !frames.has(keyOf(one)));
    pump();
  };
  const go = (image) => {
    const images = stacks[at.stack]?.images;
    if (!images) return;
    at.image = Math.min(images.length - 1, Math.max(0, image));
    order();
    show();
  };
  const series = (step) => {
    if (stacks.length < 2) return;
    at = { stack: (at.stack + step + stacks.length) % stacks.length, image: 0 };
    name();
    choose(0);
    fit();
    order();
    show();
  };
  const goTo = (instance) => {
    for (const [stack, one] of stacks.entries()) {
      const image = one.images.findIndex((each) => each.instance_id === instance);
      if (image >= 0) { at = { stack, image }; order(); show(); return; }
    }
  };

  // ---- Drawing -------------------------------------------------------------------------------------------------------
  const buffer = document.createElement("canvas");
  let drawn = "";
  const PRESETS = { CT: [["brain", 40, 80], ["subdural", 75, 215], ["lung", -600, 1500], ["mediastinum", 40, 400], ["bone", 500, 2000], ["abdomen", 50, 350]] };
  const presets = () => [["image's own", null, null], ...(PRESETS[stacks[at.stack]?.modality] || [["soft", 1, 0.6], ["hard", 1, 1.5]])];
  const window_ = (facts) => voi || { center: facts.center, window: facts.window };

  const paint = (one) => {
    const { facts, pixels } = one;
    const { center, window: width } = window_(facts);
    const turned = facts.invert !== inverted;
    const state = [keyOf(current()), center, width, turned].join();
    if (state === drawn) return;
    drawn = state;
    if (buffer.width !== facts.width || buffer.height !== facts.height) { buffer.width = facts.width; buffer.height = facts.height; }
    const target = buffer.getContext("2d");
    const image = target.createImageData(facts.width, facts.height);
    const out = new Uint32Array(image.data.buffer);
    const low = center - width / 2;
    if (facts.samples === 1) {
      // PS3.3 C.11.2.1.2.1, linear; one look-up for each number that there can be.
      const table = new Uint32Array(65536);
      for (let number = 0; number < 65536; number += 1) {
        let grey = Math.max(0, Math.min(255, Math.round(((number * facts.slope + facts.intercept - low) / Math.max(width, 1e-6)) * 255)));
        if (turned) grey = 255 - grey;
        table[number] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
      }
      for (let index = 0; index < pixels.length; index += 1) out[index] = table[pixels[index]];
    } else {
      const table = new Uint8Array(256);
      for (let number = 0; number < 256; number += 1) {
        const level = Math.max(0, Math.min(255, ((number - low) / Math.max(width, 1)) * 255));
        table[number] = turned ? 255 - level : level;
      }
      for (let index = 0, from = 0; index < out.length; index += 1, from += 3) out[index] = 0xff000000 | (table[pixels[from + 2]] << 16) | (table[pixels[from + 1]] << 8) | table[pixels[from]];
    }
    target.putImageData(image, 0, 0);
  };

  const size = () => {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  };
  const place = ({ columns, rows, aspect }) => {
    const scale = Math.min(canvas.width / columns, canvas.height / (rows * aspect)) * view.zoom;
    const [width, height] = [columns * scale, rows * aspect * scale];
    return { left: (canvas.width - width) / 2 + view.x, top: (canvas.height - height) / 2 + view.y, width, height };
  };

  let looked = null; // the finding that is looked at: { instance, heat, box }
  const heats = new Map();
  let showHeat = false;
  let showBox = false;
  const opacity = document.getElementById("opacity");
  const heatOf = (url) => {
    if (!heats.has(url)) {
      const image = new Image();
      image.onload = show;
      image.src = url;
      heats.set(url, image);
    }
    const image = heats.get(url);
    return image.complete && image.naturalWidth ? image : null;
  };
  const overlay = (facts, where) => {
    if (!looked || looked.instance !== current().instance_id) return;
    const heat = showHeat && looked.heat && heatOf(looked.heat);
    if (heat) {
      context.globalAlpha = Number(opacity.value) / 100;
      context.imageSmoothingEnabled = true;
      context.drawImage(heat, where.left, where.top, where.width, where.height);
      context.globalAlpha = 1;
    }
    if (showBox && looked.box) {
      const [left, top, right, bottom] = looked.box;
      const [x, y] = [where.width / facts.columns, where.height / facts.rows];
      context.lineWidth = Math.max(2, canvas.width / 700);
      context.strokeStyle = "#f0bd63";
      context.strokeRect(where.left + left * x, where.top + top * y, (right - left) * x, (bottom - top) * y);
    }
  };

  let asked = false;
  const show = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  };
  const draw = () => {
    size();
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    const image = current();
    if (!image) return;
    const one = frames.get(keyOf(image));
    const stack = stacks[at.stack];
    corner("series").textContent = stacks.length > 1 ? `Series ${at.stack + 1} of ${stacks.length} · ${stack.description}` : stack.description;
    corner("image").textContent = stack.images.length > 1 ? `Image ${at.image + 1} of ${stack.images.length}` : "";
    note.hidden = Boolean(one?.pixels);
    if (!one?.pixels) { note.textContent = one?.error ? `This image cannot be shown: ${one.error}` : "Loading…"; return; }
    one.used = performance.now();
    paint(one);
    const where = place(one.facts);
    context.imageSmoothingEnabled = where.width < 3 * one.facts.width;
    context.imageSmoothingQuality = "high";
    context.drawImage(buffer, where.left, where.top, where.width, where.height);
    overlay(one.facts, where);
    const { center, window: width } = window_(one.facts);
    corner("window").textContent = `C ${Math.round(center)} W ${Math.round(width)}${inverted ? " · inverted" : ""} · ${Math.round(view.zoom * 100)} %`;
    if (!box.dataset.painted) { box.dataset.painted = String(Math.round(performance.now())); performance.mark("radloop-first-image"); }
  };

  // ---- What the reader does ------------------------------------------------------------------------------------------
  const fit = () => { view = { zoom: 1, x: 0, y: 0 }; show(); };
  const zoom = (by, x = canvas.width / 2, y = canvas.height / 2) => {
    const next = Math.min(24, Math.max(0.2, view.zoom * by));
    const real = next / view.zoom;
    view.x = (x - canvas.width / 2) * (1 - real) + view.x * real;
    view.y = (y - canvas.height / 2) * (1 - real) + view.y * real;
    view.zoom = next;
    show();
  };
  const level = (horizontal, vertical) => {
    const one = frame();
    if (!one) return;
    const { center, window: width } = window_(one.facts);
    const step = Math.max(one.facts.window, 1) / 400;
    voi = { center: center + vertical * step, window: Math.max(1, width + horizontal * step) };
    show();
  };
  const choose = (index) => {
    const one = frame();
    const all = presets();
    preset = (index + all.length) % all.length;
    const [, center, width] = all[preset];
    if (center === null) voi = null;
    else if (PRESETS[stacks[at.stack]?.modality]) voi = { center, window: width };
    else if (one) voi = { center: one.facts.center, window: one.facts.window * width };
    document.getElementById("preset").selectedIndex = preset;
    show();
  };
  const name = () => document.getElementById("preset").replaceChildren(...presets().map(([said]) => new Option(said)));
  const toggle = (button, on) => { button.setAttribute("aria-pressed", String(on)); show(); return on; };
  const on = (id, act) => document.getElementById(id).addEventListener("click", act);
  on("fit", () => { voi = null; inverted = toggle(document.getElementById("invert"), false); preset = 0; choose(0); fit(); });
  on("zoom-in", () => zoom(1.25));
  on("zoom-out", () => zoom(0.8));
  on("invert", (event) => { inverted = toggle(event.currentTarget, !inverted); });
  on("preset-next", () => choose(preset + 1));
  on("heat", (event) => { showHeat = toggle(event.currentTarget, !showHeat); document.dispatchEvent(new CustomEvent("radloop:want-look")); });
  on("boxes", (event) => { showBox = toggle(event.currentTarget, !showBox); document.dispatchEvent(new CustomEvent("radloop:want-look")); });
  document.getElementById("preset").addEventListener("change", (event) => { choose(event.target.selectedIndex); event.target.blur(); });
  opacity.addEventListener("input", show);
  opacity.addEventListener("change", () => opacity.blur());

  document.addEventListener("radloop:look", (event) => {
    looked = event.detail;
    if (event.detail.turnOn) {
      showHeat = toggle(document.getElementById("heat"), Boolean(looked.heat));
      showBox = toggle(document.getElementById("boxes"), Boolean(looked.box));
    }
    if (looked.instance && current()?.instance_id !== looked.instance) goTo(looked.instance);
    show();
  });

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const ratio = window.devicePixelRatio || 1;
    const stack = stacks[at.stack];
    if (stack?.images.length > 1 && !event.ctrlKey) go(at.image + Math.sign(event.deltaY));
    else zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, event.offsetX * ratio, event.offsetY * ratio);
  }, { passive: false });
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { button: event.button, pan: event.button !== 0 || event.ctrlKey, touch: event.pointerType === "touch" };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const ratio = window.devicePixelRatio || 1;
    if (drag.pan || (drag.touch && view.zoom > 1)) { view.x += event.movementX * ratio; view.y += event.movementY * ratio; show(); }
    else level(event.movementX, -event.movementY);
  });
  const drop = () => { drag = null; };
  canvas.addEventListener("pointerup", drop);
  canvas.addEventListener("pointercancel", drop);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", fit);

  const KEYS = {
    ArrowDown: () => go(at.image + 1), ArrowUp: () => go(at.image - 1), ArrowRight: () => series(1), ArrowLeft: () => series(-1),
    PageDown: () => go(at.image + 10), PageUp: () => go(at.image - 10), Home: () => go(0), End: () => go(Infinity),
  };
  const SHIFTED = { ArrowDown: () => level(0, -12), ArrowUp: () => level(0, 12), ArrowRight: () => level(16, 0), ArrowLeft: () => level(-16, 0) };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog")) return;
    const act = (event.shiftKey ? SHIFTED : KEYS)[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  new ResizeObserver(show).observe(canvas);

  // ---- Begin: the first image is asked for before the order of the others is known -----------------------------------
  const begin = async () => {
    const first = box.dataset.first;
    if (first) { wanted = [{ instance_id: first, frame: 0 }]; pump(); }
    const answer = await fetch(box.dataset.images);
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    stacks = told.map((one) => ({ ...one, images: one.images.flatMap((each) => Array.from({ length: each.frames }, (_, number) => ({ instance_id: each.instance_id, frame: number }))) }));
    if (!stacks.length) { note.textContent = "There is no image in this study yet."; return; }
    if (first) goTo(first);
    name();
    go(at.image);
  };
  begin().catch((error) => { note.textContent = `The images cannot be loaded: ${error.message}`; });
})();
