"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, text, className) => Object.assign(document.createElement(tag), { textContent: text ?? "", className: className ?? "" });
  const data = JSON.parse(document.getElementById("data").textContent);

  // ---------------------------------------------------------------- what is remembered

  // A browser may refuse storage, e.g. of a file.
  const recall = (name) => { try { return localStorage.getItem(`bench-${name}`); } catch { return null; } };
  const remember = (name, value) => { try { localStorage.setItem(`bench-${name}`, value); } catch { /* not remembered */ } };
  const mark = (hash) => { try { history.replaceState(null, "", hash); } catch { /* the address stays */ } };

  // ---------------------------------------------------------------- theme

  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const showTheme = () => {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
  };
  if (["light", "dark"].includes(recall("theme"))) root.dataset.theme = recall("theme");
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember("theme", root.dataset.theme);
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  showTheme();

  // ---------------------------------------------------------------- tabs

  const tabs = all("#tabs a");
  const panels = all("[data-panel]");
  const panelOf = (tab) => document.getElementById(tab.hash.slice(1));
  const select = (panel) => {
    for (const other of panels) other.hidden = other !== panel;
    for (const tab of tabs) {
      const chosen = panelOf(tab) === panel;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) tab.parentNode.scrollLeft = tab.offsetLeft - tab.parentNode.offsetLeft - 40;
    }
  };
  document.getElementById("tabs").setAttribute("role", "tablist");
  tabs.forEach((tab, place) => {
    tab.setAttribute("role", "tab");
    tab.id = `${panelOf(tab).id}-tab`;
    tab.setAttribute("aria-controls", panelOf(tab).id);
    panelOf(tab).setAttribute("role", "tabpanel");
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      select(panelOf(tab));
      mark(tab.hash);
    });
    tab.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: -1, " ": place };
      if (!(event.key in steps)) return;
      event.preventDefault();
      const next = tabs.at(steps[event.key] % tabs.length);
      next.click();
      next.focus();
    });
  });

  // ---------------------------------------------------------------- entries

  const show = (button, open) => {
    const detail = document.getElementById(button.getAttribute("aria-controls"));
    detail.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
  };
  for (const button of all(".open")) {
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") !== "true";
      show(button, open);
      if (open) mark(`#${button.closest("tbody").id}`);
    });
  }
  const follow = () => {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* a stray per cent sign */ }
    const target = name && document.getElementById(name);
    select((target && target.closest("[data-panel]")) || panels.find((panel) => panel.id === name) || panels[0]);
    if (!target) return;
    if (target.matches("tbody.entry")) show(target.querySelector(".open"), true);
    target.scrollIntoView();
  };
  addEventListener("hashchange", follow);

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

  // ---------------------------------------------------------------- sorting, within each group

  const places = new Map(all("tbody.entry").map((body, place) => [body, place]));
  const keyOf = (body, index) => body.rows[0].querySelectorAll("[data-key]")[index].dataset.key;
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  const sort = (button, order) => {
    const table = button.closest("table");
    for (const cell of all("th[aria-sort]", table)) cell.removeAttribute("aria-sort");
    button.closest("th").setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    all("tbody.group", table).forEach((group, number) => {
      const rows = all(`tbody[data-group="${number}"]`, table);
      const keyed = rows.map((body) => ({ body, place: places.get(body), key: keyOf(body, button.dataset.sort) }));
      keyed.sort((a, b) => {
        if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "") || a.place - b.place;
        return sign * compare(a.key, b.key) || a.place - b.place;
      });
      table.append(group, ...keyed.map(({ body }) => body));
    });
  };
  for (const button of all("button[data-sort]")) {
    button.addEventListener("click", () => {
      const table = button.closest("table");
      // The first click shows what is best on top; words go by the alphabet.
      const words = all("tbody.entry", table).some((body) => Number.isNaN(Number(keyOf(body, button.dataset.sort))));
      const first = words || button.dataset.less === "1" ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = button.closest("th").getAttribute("aria-sort") === first ? other : first;
      sort(button, order);
      remember(`sort-${table.dataset.board}`, `${button.dataset.name} ${order}`);
    });
  }
  for (const table of all("[data-board]")) {
    const [name, order] = (recall(`sort-${table.dataset.board}`) || "").split(" ");
    const button = all("button[data-sort]", table).find((one) => one.dataset.name === name);
    if (button && ["ascending", "descending"].includes(order)) sort(button, order);
  }

  // ---------------------------------------------------------------- filtering

  for (const field of all("[data-filter]")) {
    const id = field.dataset.filter;
    const board = document.querySelector(`[data-board="${id}"]`);
    const bodies = all("tbody.entry", board);
    field.addEventListener("input", () => {
      const words = field.value.trim().toLowerCase().split(/\s+/);
      for (const body of bodies) body.hidden = !words.every((word) => body.dataset.name.includes(word));
      all("tbody.group", board).forEach((group, number) => {
        group.hidden = !bodies.some((body) => body.dataset.group === String(number) && !body.hidden);
      });
      const shown = bodies.filter((body) => !body.hidden).length;
      const count = document.querySelector(`[data-count="${id}"]`);
      count.textContent = shown === bodies.length ? `${shown} entries` : `${shown} of ${bodies.length} entries`;
    });
  }

  // ---------------------------------------------------------------- dot, line and row light up together

  const light = (entry) => {
    for (const one of all(".lit")) one.classList.remove("lit");
    for (const line of all(".says")) line.textContent = "\u00a0";
    if (!entry) return;
    for (const one of all("tbody[data-entry], g[data-entry]")) {
      if (one.dataset.entry !== entry) continue;
      one.classList.add("lit");
      if (!one.dataset.says) continue;
      one.parentNode.append(one); // above the others
      one.closest("figure").querySelector(".says").textContent = one.dataset.says;
    }
  };
  for (const one of all("tbody[data-entry], g[data-entry]")) {
    for (const kind of ["pointerenter", "click", "focusin"]) one.addEventListener(kind, () => {
      if (!one.classList.contains("lit")) light(one.dataset.entry);
    });
  }

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
  const COLOURS = {
    nothing: [20, 24, 26], both: [244, 244, 240], missed: [86, 180, 233], invented: [213, 94, 0],
    inner: [255, 255, 255], outer: [0, 0, 0],
  };
  const MAGMA = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 89, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191]];
  const magma = (share) => {
    const place = Math.min(share, 0.9999) * (MAGMA.length - 1);
    const low = Math.floor(place);
    return MAGMA[low].map((value, part) => value + (place - low) * (MAGMA[low + 1][part] - value));
  };
  const ZOOM = 3;
  // The brightness of a thumbnail, 0 to 1, without the negative frequencies if it has them.
  const brightness = async (file, width, height, folded) => {
    const picture = new Image();
    picture.src = `data:image/webp;base64,${file}`;
    await picture.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    if (folded) {
      context.setTransform(1, 0, 0, -1, 0, height);
      context.drawImage(picture, 0, picture.height / 2, picture.width, picture.height / 2, 0, 0, width, height);
    } else context.drawImage(picture, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height).data;
    return Float32Array.from({ length: width * height }, (_, i) => (pixels[4 * i] + pixels[4 * i + 1] + pixels[4 * i + 2]) / 765);
  };
  const draw = async (canvas) => {
    if (canvas.dataset.started) return;
    canvas.dataset.started = "1";
    const { height, width, folded, images, masks } = data[canvas.dataset.table];
    const image = images[canvas.dataset.index];
    const truth = decode(image.truth, height * width);
    const mask = canvas.dataset.entry ? decode(masks[canvas.dataset.entry][canvas.dataset.index], height * width) : null;
    const [w, h] = [ZOOM * width, ZOOM * height];
    Object.assign(canvas, { width: w, height: h });
    const sound = image.image ? await brightness(image.image, w, h, folded) : null;
    const at = (bits, x, y) => x >= 0 && y >= 0 && x < w && y < h && bits[Math.floor(y / ZOOM) * width + Math.floor(x / ZOOM)];
    const grey = (i) => (sound ? COLOURS.nothing.map((value) => value + 70 * sound[i]) : COLOURS.nothing);
    // A white line inside the truth, and a black one around it, which stands out of bright noise.
    const touches = (x, y, value) => [[-1, 0], [1, 0], [0, -1], [0, 1]].some(([dx, dy]) => Boolean(at(truth, x + dx, y + dy)) === value);
    const outlined = (x, y) => {
      if (at(truth, x, y)) return touches(x, y, false) ? COLOURS.inner : magma(sound[y * w + x]);
      return touches(x, y, true) ? COLOURS.outer : magma(sound[y * w + x]);
    };
    const kinds = {
      sound: outlined,
      truth: (x, y) => (at(truth, x, y) ? COLOURS.both : COLOURS.nothing),
      errors: (x, y) => {
        if (at(mask, x, y)) return at(truth, x, y) ? COLOURS.both : COLOURS.invented;
        return at(truth, x, y) ? COLOURS.missed : grey(y * w + x);
      },
    };
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(w, h);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
      pixels.data.set([...kinds[canvas.dataset.draw](x, y), 255], 4 * (y * w + x));
    }
    context.putImageData(pixels, 0, 0);
    canvas.dataset.done = "1";
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "300px" });
  for (const canvas of all("canvas[data-table]")) {
    const { height, width } = data[canvas.dataset.table];
    canvas.style.aspectRatio = `${width} / ${height}`;
    seen.observe(canvas);
  }
  // A printed page shows what was never scrolled to.
  addEventListener("beforeprint", () => all("canvas[data-table]").filter((canvas) => canvas.checkVisibility()).forEach(draw));

  // ---------------------------------------------------------------- comparing two rows

  const verdictOf = (table, first, second) => {
    const { pairs, names } = data[table];
    const [a, b] = [names[first], names[second]];
    const forward = pairs[first]?.[second];
    const found = forward || pairs[second]?.[first]?.map((value, place) => (place ? value : -value));
    if (!found) return `${a} and ${b} cannot be tested against each other: one of them is not ranked.`;
    const [difference, half, p] = found;
    const [better, worse] = difference < 0 ? [b, a] : [a, b];
    const start = `${better} is ahead of ${worse} by ${Math.abs(difference).toFixed(1)} ± ${half.toFixed(1)} points of IoU`;
    const sure = p <= 0.05 ? "This is certain" : "The order is open";
    return `${start} (95 % interval of this pair alone). ${sure}: p = ${p} after correction for all pairs of the table.`;
  };
  const overlay = (first, second) => {
    const charts = make("div", "", "charts");
    const [own, others] = [first, second].map((id) => all("svg[data-curves]", document.getElementById(`${id}/more`)));
    own.forEach((chart, place) => {
      if (!others[place]) return;
      const copy = chart.cloneNode(true);
      for (const line of all(".line, .picked", copy)) line.setAttribute("class", `${line.classList[0]} c0`);
      for (const line of all(".line, .picked", others[place])) {
        const other = line.cloneNode(true);
        other.setAttribute("class", `${line.classList[0]} c1`);
        copy.append(other);
      }
      charts.append(copy);
    });
    return charts;
  };
  // With the ends of its axes, as the template does it.
  const framed = (canvas, axes) => {
    const frame = make("div", "", "frame");
    frame.append(canvas);
    for (const [name, ends] of axes.time ? [["hz", [axes.frequency, "0"]], ["seconds", ["0", axes.time]]] : []) {
      const axis = make("span", "", name);
      axis.ariaHidden = "true";
      axis.append(...ends.map((text) => make("span", text)));
      frame.append(axis);
    }
    return frame;
  };
  const differing = (table, first, second) => {
    const { shared = [], ious = {}, masks = {}, names, images, axes } = data[table];
    const shots = make("div", "", "shots");
    if (!ious[first] || !ious[second]) return shots;
    const gap = (place) => Math.abs(ious[first][place] - ious[second][place]);
    const places = shared.map((_, place) => place).sort((a, b) => gap(b) - gap(a) || a - b).slice(0, 4);
    for (const place of places) {
      const { index, caption } = shared[place];
      const figure = make("figure", "", "shot");
      for (const entry of ["", first, second]) {
        const kind = entry ? "errors" : images[index].image ? "sound" : "truth";
        const canvas = make("canvas");
        Object.assign(canvas.dataset, { table, index, entry, draw: kind });
        canvas.setAttribute("role", "img");
        const text = entry ? `${names[entry]}: IoU ${ious[entry][place]} %` : caption;
        canvas.setAttribute("aria-label", text);
        figure.append(framed(canvas, axes), make("figcaption", text));
        draw(canvas);
      }
      shots.append(figure);
    }
    return shots;
  };
  const key = (number, text) => make("span", text, `keyed c${number}`);
  for (const board of all("[data-board]")) {
    const table = board.dataset.board;
    const duel = document.getElementById(table).querySelector(".duel");
    let picked = [];
    board.addEventListener("change", (event) => {
      const id = event.target.dataset.pick;
      if (!id) return;
      picked = event.target.checked ? [...picked, id].slice(-2) : picked.filter((one) => one !== id);
      for (const box of all("[data-pick]", board)) box.checked = picked.includes(box.dataset.pick);
      duel.hidden = picked.length < 2;
      if (duel.hidden) return;
      const [first, second] = picked;
      const legend = make("p", "", "small");
      legend.append(key(0, data[table].names[first]), key(1, data[table].names[second]));
      const pictures = differing(table, first, second);
      duel.replaceChildren(make("p", verdictOf(table, first, second), "answer"), legend, overlay(first, second));
      if (pictures.children.length) duel.append(make("p", "Where they differ most, of the images on which all entries differ most:", "small"), pictures);
      duel.scrollIntoView({ block: "nearest" });
    });
  }

  follow();
})();
