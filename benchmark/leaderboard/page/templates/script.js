"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const tables = JSON.parse(document.getElementById("pictures").textContent);

  // ---------------------------------------------------------------- theme

  const theme = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const showTheme = () => {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
  };
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  showTheme();

  // ---------------------------------------------------------------- sorting

  const keyOf = (body, index) => body.rows[0].querySelectorAll("[data-key]")[index].dataset.key;
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  for (const button of all("button[data-sort]")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const table = button.closest("table");
      const before = head.getAttribute("aria-sort");
      // The first click shows what is best on top; words go by the alphabet.
      const words = all("tbody", table).some((body) => Number.isNaN(Number(keyOf(body, button.dataset.sort))));
      const first = words || button.dataset.less === "1" ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = before === first ? other : first;
      for (const cell of all("th[aria-sort]", table)) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const bodies = all("tbody", table).map((body, place) => ({ body, place, key: keyOf(body, button.dataset.sort) }));
      bodies.sort((a, b) => {
        if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "") || a.place - b.place;
        return sign * compare(a.key, b.key) || a.place - b.place;
      });
      for (const { body } of bodies) table.append(body);
    });
  }

  // ---------------------------------------------------------------- filtering

  const filter = (id) => {
    const words = document.querySelector(`[data-filter="${id}"]`).value.trim().toLowerCase().split(/\s+/);
    const rankedOnly = document.querySelector(`[data-ranked="${id}"]`).checked;
    const bodies = all(`[data-board="${id}"] > tbody`);
    let shown = 0;
    for (const body of bodies) {
      const named = words.every((word) => body.dataset.name.includes(word));
      body.hidden = !named || (rankedOnly && body.dataset.isranked === "0");
      shown += !body.hidden;
    }
    const count = document.querySelector(`[data-count="${id}"]`);
    count.textContent = shown === bodies.length ? `${shown} entries` : `${shown} of ${bodies.length} entries`;
  };
  for (const field of all("[data-filter]")) field.addEventListener("input", () => filter(field.dataset.filter));
  for (const field of all("[data-ranked]")) field.addEventListener("change", () => filter(field.dataset.ranked));

  // ---------------------------------------------------------------- pictures

  // Runs of background and foreground in turn, seven bits to a byte, lowest first.
  const decode = (text, size) => {
    const bits = new Uint8Array(size);
    let at = 0, value = 0, run = 0, shift = 0;
    for (const sign of atob(text)) {
      const byte = sign.charCodeAt(0);
      run |= (byte & 127) << shift;
      shift += 7;
      if (byte & 128) continue;
      bits.fill(value, at, at + run);
      at += run;
      value = 1 - value;
      run = shift = 0;
    }
    return bits;
  };
  const COLOURS = { nothing: [20, 24, 26], both: [244, 244, 240], missed: [86, 180, 233], invented: [213, 94, 0] };
  const paint = (context, left, width, height, colourOf) => {
    const pixels = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) pixels.data.set([...colourOf(i), 255], 4 * i);
    context.putImageData(pixels, left, 0);
  };
  const draw = (canvas) => {
    if (canvas.dataset.done) return;
    canvas.dataset.done = "1";
    const { height, width, images } = tables[canvas.dataset.table];
    const image = images[canvas.dataset.index];
    const size = height * width;
    const truth = decode(image.truth, size);
    const mask = canvas.dataset.mask === undefined ? null : decode(canvas.dataset.mask, size);
    const mono = (bits) => (i) => (bits[i] ? COLOURS.both : COLOURS.nothing);
    const errors = (i) =>
      mask[i] ? (truth[i] ? COLOURS.both : COLOURS.invented) : truth[i] ? COLOURS.missed : COLOURS.nothing;
    const panels = { pair: () => [mono(truth), mono(mask)], errors: () => [errors], truth: () => [mono(truth)] };
    const painted = panels[canvas.dataset.panels]();
    const gap = 4;
    const count = painted.length + (image.image ? 1 : 0);
    canvas.width = count * width + (count - 1) * gap;
    canvas.height = height;
    canvas.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
    const context = canvas.getContext("2d");
    const offset = image.image ? width + gap : 0;
    painted.forEach((colourOf, place) => paint(context, offset + place * (width + gap), width, height, colourOf));
    if (image.image) {
      const thumbnail = new Image();
      thumbnail.onload = () => context.drawImage(thumbnail, 0, 0, width, height);
      thumbnail.src = `data:image/webp;base64,${image.image}`;
    }
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "300px" });
  for (const canvas of all("canvas[data-table]")) seen.observe(canvas);
  // A printed page shows what was never scrolled to.
  addEventListener("beforeprint", () => all("canvas[data-table]").forEach(draw));

  // ---------------------------------------------------------------- entries

  for (const button of all(".open")) {
    button.addEventListener("click", () => {
      const detail = document.getElementById(button.getAttribute("aria-controls"));
      detail.hidden = !detail.hidden;
      button.setAttribute("aria-expanded", String(!detail.hidden));
    });
  }
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const text = button.previousElementSibling.textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(button.previousElementSibling);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
})();
