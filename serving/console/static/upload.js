// Handing in files: each is one request with its progress; then the reading, then the report.
(() => {
  "use strict";
  const csrf = document.querySelector("meta[name=csrf]").content;
  const form = document.getElementById("upload");
  const drop = form.querySelector(".drop");
  const bar = document.getElementById("bar");
  const stage = document.getElementById("stage");

  // The codes of TakenOut.refused (radloop.domain.errors, integrations.deidentify.refusals), for people.
  const WHY = {
    "unparsable": "no DICOM file and no picture, or damaged",
    "undecodable": "its image cannot be read",
    "too-large": "larger than is taken",
    "not-an-image": "holds no image",
    "burned-in": "may show who it is in its pixels, so identity cannot be taken away",
    "unsearchable": "its pixels cannot be searched for who it is, so identity cannot be taken away",
    "leaked": "something that says who it is was left in it",
  };
  const told = (refused) => [...new Set(refused)].map((code) => WHY[code] || code).join("; ");

  const send = (id, file, subject, moved) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/uploads/${id}/files?subject=${subject}`);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => moved(event.loaded);
    request.onerror = () => reject(new Error("The console does not answer."));
    request.onload = () => {
      const answer = JSON.parse(request.responseText || "{}");
      if (request.status === 200) resolve(answer); else reject(new Error(answer.error || `It was refused (${request.status}).`));
    };
    request.send(file);
  });

  // A dropped folder is walked: its entries come in parts, and an empty part is the end.
  const filesOf = async (entry) => {
    if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!part.length) return found;
      for (const one of part) found.push(...await filesOf(one));
    }
  };

  const work = async (files) => {
    const all = files.reduce((sum, file) => sum + file.size, 0) || 1;
    const subject = document.getElementById("subject").value;
    document.getElementById("progress").hidden = false;
    let done = 0;
    let taken = 0;
    const refused = [];
    const show = (bytes) => { bar.value = Math.round((100 * bytes) / all); };
    const upload = await window.radloop.call("POST", "/api/v1/uploads", { deidentify: document.getElementById("deidentify").checked });
    for (const [number, file] of files.entries()) {
      stage.textContent = `File ${number + 1} of ${files.length}`;
      try {
        const answer = await send(upload.id, file, subject, (bytes) => show(done + bytes));
        taken += answer.taken;
        refused.push(...answer.refused);
      } catch (error) {
        refused.push(error.message);
      }
      done += file.size;
      show(done);
    }
    if (!taken) {
      await window.radloop.call("DELETE", `/api/v1/uploads/${upload.id}`);
      throw new Error(`No image in this could be taken: ${told(refused) || "nothing was there"}.`);
    }
    if (refused.length) window.radloop.said(`Not taken: ${refused.length} of ${taken + refused.length} (${told(refused)}).`, true);
    stage.textContent = "The models read";
    bar.removeAttribute("value");
    await window.radloop.call("POST", `/api/v1/uploads/${upload.id}/reading`);
    location.assign(`/upload/${upload.id}`);
  };

  const begin = async (files) => {
    if (!files.length) return;
    try {
      await work(files);
    } catch (error) {
      stage.textContent = "";
      bar.value = 0;
      window.radloop.said(error.message, true);
    }
  };

  for (const id of ["files", "folder"]) document.getElementById(id).addEventListener("change", (event) => begin([...event.target.files]));
  document.getElementById("folder-button").addEventListener("click", () => document.getElementById("folder").click());
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const found = [];
    for (const entry of entries) found.push(...await filesOf(entry));
    begin(found.length ? found : [...event.dataTransfer.files]);
  });
})();
