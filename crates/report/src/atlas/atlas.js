'use strict';
(() => {
  const D = JSON.parse(document.getElementById('data').textContent);
  const n = D.x.length, byId = (id) => document.getElementById(id);
  const canvas = byId('canvas'), g = canvas.getContext('2d'), tip = byId('tip');
  const sprite = new Image();
  const marks = D.paths.map((p) => new Path2D(p));
  const shown = D.classes.map(() => true);
  let view = { x: 0, y: 0, scale: 1 }, hover = -1, chosen = -1, pictures = false, fresh = true, queued = false;

  const reach = (v) => Math.max(1e-3, ...v.map(Math.abs)) * 2;
  const wide = reach(D.x), high = reach(D.y);
  // The scale at which all of the map is seen, with room for the tools above it.
  const whole = () => { const { w, h } = size(); return Math.max(40, Math.min((w - 60) / wide, (h - 110) / high)); };
  const size = () => ({ w: canvas.clientWidth, h: canvas.clientHeight });
  const fit = () => {
    const { w, h } = size();
    view = { x: 0, y: 0, scale: whole() };
    fresh = true;
    later();
  };
  const place = (i) => {
    const { w, h } = size();
    return [w / 2 + (D.x[i] - view.x) * view.scale, h / 2 + (D.y[i] - view.y) * view.scale];
  };
  const colours = () => {
    const s = getComputedStyle(document.documentElement);
    const of = (name) => s.getPropertyValue(name).trim();
    return { of: Array.from({ length: 20 }, (_, i) => of('--c' + i)), text: of('--text') };
  };
  const later = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; draw(); });
  };

  // Pixels of small pictures stay squares, photographs are smoothed.
  const thumb = (c, i, side) => {
    const ratio = window.devicePixelRatio || 1, w = Math.floor(D.size[i] / 1000), h = D.size[i] % 1000;
    const f = side / Math.max(w, h), cw = w * f, ch = h * f;
    c.width = Math.round(cw * ratio); c.height = Math.round(ch * ratio);
    c.style.width = cw + 'px'; c.style.height = ch + 'px';
    const t = c.getContext('2d');
    t.imageSmoothingEnabled = f * ratio < 1;
    tile(t, i, 0, 0, c.width, c.height);
  };
  const tile = (t, i, x, y, w, h) => {
    const tw = Math.floor(D.size[i] / 1000), th = D.size[i] % 1000;
    const left = (i % D.columns) * D.side + Math.floor((D.side - tw) / 2);
    const top = Math.floor(i / D.columns) * D.side + Math.floor((D.side - th) / 2);
    t.drawImage(sprite, left, top, tw, th, x, y, w, h);
  };

  const draw = () => {
    const ratio = window.devicePixelRatio || 1, { w, h } = size(), c = colours();
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    }
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    const zoom = view.scale / whole();
    const r = Math.max(2.2, Math.min(9, 5 * Math.sqrt(400 / Math.max(n, 1)) * Math.pow(zoom, 0.4)));
    const side = Math.max(20, Math.min(72, 26 * Math.pow(zoom, 0.5)));
    const inside = (x, y, m) => x > -m && y > -m && x < w + m && y < h + m;
    const taken = new Map(), drawn = new Uint8Array(n);
    if (pictures && sprite.complete) {
      for (let i = 0; i < n; i++) {
        if (!shown[D.class[i]]) continue;
        const [x, y] = place(i);
        if (!inside(x, y, side)) continue;
        const a = Math.floor(x / side), b = Math.floor(y / side);
        let free = true;
        for (let u = a - 1; u <= a + 1 && free; u++) for (let v = b - 1; v <= b + 1 && free; v++) {
          for (const [p, q] of taken.get(u + ',' + v) || []) if (Math.abs(p - x) < side + 2 && Math.abs(q - y) < side + 2) free = false;
        }
        if (!free) continue;
        const key = a + ',' + b;
        if (!taken.has(key)) taken.set(key, []);
        taken.get(key).push([x, y]);
        drawn[i] = 1;
      }
    }
    g.globalAlpha = 0.85;
    const mark = (i, x, y, r) => {
      const [colour, shape] = D.marks[D.class[i]];
      g.save(); g.translate(x, y); g.scale(r, r); g.fillStyle = c.of[colour]; g.fill(marks[shape]); g.restore();
    };
    for (let i = 0; i < n; i++) {
      if (!shown[D.class[i]] || drawn[i]) continue;
      const [x, y] = place(i);
      if (inside(x, y, r)) mark(i, x, y, pictures ? r * 0.75 : r);
    }
    g.globalAlpha = 1;
    for (let i = 0; i < n; i++) if (drawn[i]) picture(i, side, c);
    if (chosen >= 0) {
      const [x, y] = place(chosen);
      g.strokeStyle = c.text; g.lineWidth = 1.2;
      for (const j of D.near[chosen]) {
        const [a, b] = place(j);
        g.globalAlpha = 0.6; g.beginPath(); g.moveTo(x, y); g.lineTo(a, b); g.stroke(); g.globalAlpha = 1;
      }
      for (const j of D.near[chosen]) ring(j, r + 3, c, 1.4);
      if (pictures) picture(chosen, side * 1.3, c); else mark(chosen, x, y, r * 1.4);
      ring(chosen, pictures ? side * 0.95 : r + 5, c, 2.4);
    }
    if (hover >= 0 && hover !== chosen) ring(hover, drawn[hover] ? side * 0.72 : r + 3, c, 2);
  };
  const picture = (i, side, c) => {
    const [x, y] = place(i), tw = Math.floor(D.size[i] / 1000), th = D.size[i] % 1000, f = side / Math.max(tw, th);
    g.imageSmoothingEnabled = f * (window.devicePixelRatio || 1) < 1;
    tile(g, i, x - tw * f / 2, y - th * f / 2, tw * f, th * f);
    g.fillStyle = c.of[D.marks[D.class[i]][0]];
    g.fillRect(x - tw * f / 2, y + th * f / 2 - 3, tw * f, 3);
  };
  const ring = (i, r, c, width) => {
    const [x, y] = place(i);
    g.strokeStyle = c.text; g.lineWidth = width; g.beginPath(); g.arc(x, y, r, 0, 7); g.stroke();
  };

  const at = (x, y, reach) => {
    let best = -1, least = reach * reach;
    for (let i = 0; i < n; i++) {
      if (!shown[D.class[i]]) continue;
      const [a, b] = place(i), d = (a - x) * (a - x) + (b - y) * (b - y);
      if (d < least) { least = d; best = i; }
    }
    return best;
  };
  const zoomAt = (factor, x, y) => {
    const { w, h } = size(), px = view.x + (x - w / 2) / view.scale, py = view.y + (y - h / 2) / view.scale;
    view.scale = Math.max(40, Math.min(400000, view.scale * factor));
    view.x = px - (x - w / 2) / view.scale; view.y = py - (y - h / 2) / view.scale;
    fresh = false;
    later();
  };
  const show = (i, x, y) => {
    hover = i;
    tip.hidden = i < 0;
    if (i >= 0) {
      thumb(tip.children[0], i, 112);
      tip.children[1].textContent = D.classes[D.class[i]];
      tip.children[2].textContent = D.id[i];
      const { w, h } = size(), tw = tip.offsetWidth, th = tip.offsetHeight;
      tip.style.left = Math.max(4, x + 18 + tw > w ? x - tw - 14 : x + 18) + 'px';
      tip.style.top = Math.max(4, Math.min(h - th - 4, y - th / 2)) + 'px';
    }
    later();
  };
  const element = (name, text) => { const e = document.createElement(name); if (text !== undefined) e.textContent = text; return e; };
  const choose = (i, move) => {
    chosen = i;
    const box = byId('chosen');
    box.textContent = '';
    if (i < 0) {
      const p = element('p', 'Point at a picture to see it; choose it to see its nearest neighbours by features, which need not be the nearest on the map.');
      p.className = 'hint';
      box.append(p);
      later();
      return;
    }
    const figure = element('figure'), big = element('canvas'), words = element('figcaption'), near = element('ul');
    thumb(big, i, 104);
    words.append(element('b', D.classes[D.class[i]]), D.id[i]);
    figure.append(big, words);
    near.className = 'near';
    for (const j of D.near[i]) {
      const li = element('li'), b = element('button'), c = element('canvas');
      thumb(c, j, 52);
      c.style.width = ''; c.style.height = '';
      b.append(c, element('small', D.classes[D.class[j]]));
      b.className = D.class[i] === D.class[j] ? 'same' : 'other';
      b.title = D.id[j];
      b.onclick = () => choose(j, true);
      b.onmouseenter = () => { hover = j; later(); };
      b.onmouseleave = () => { hover = -1; later(); };
      li.append(b);
      near.append(li);
    }
    box.append(figure, element('h3', 'Nearest by features'), near);
    if (move) {
      const [x, y] = place(i), { w, h } = size();
      if (x < 30 || y < 30 || x > w - 30 || y > h - 30) { view.x = D.x[i]; view.y = D.y[i]; }
    }
    later();
  };

  const down = new Map();
  let moved = 0, spread = 0;
  const local = (e) => { const b = canvas.getBoundingClientRect(); return [e.clientX - b.left, e.clientY - b.top]; };
  canvas.addEventListener('pointerdown', (e) => {
    canvas.setPointerCapture(e.pointerId);
    down.set(e.pointerId, local(e));
    if (down.size === 1) moved = 0;
    spread = 0;
  });
  canvas.addEventListener('pointermove', (e) => {
    const [x, y] = local(e), before = down.get(e.pointerId);
    if (!before) {
      show(at(x, y, 14), x, y);
      return;
    }
    down.set(e.pointerId, [x, y]);
    if (down.size === 1) {
      moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
      if (moved > 4) {
        view.x -= (x - before[0]) / view.scale; view.y -= (y - before[1]) / view.scale;
        fresh = false;
        show(-1);
      }
    } else {
      moved = 99;
      const [a, b] = [...down.values()], d = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread > 0) zoomAt(d / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      spread = d;
    }
  });
  const up = (e) => {
    if (!down.delete(e.pointerId)) return;
    spread = 0;
    const [x, y] = local(e);
    if (e.type === 'pointerup' && moved <= 4 && down.size === 0) choose(at(x, y, e.pointerType === 'touch' ? 26 : 14), false);
  };
  canvas.addEventListener('pointerup', up);
  canvas.addEventListener('pointercancel', up);
  canvas.addEventListener('pointerleave', () => show(-1));
  canvas.addEventListener('wheel', (e) => {
    e.preventDefault();
    const [x, y] = local(e);
    zoomAt(Math.pow(1.0018, -e.deltaY * (e.deltaMode === 1 ? 16 : 1)), x, y);
    show(at(x, y, 14), x, y);
  }, { passive: false });
  const middle = (factor) => { const { w, h } = size(); zoomAt(factor, w / 2, h / 2); };
  const toggle = () => { pictures = !pictures; byId('pictures').setAttribute('aria-pressed', pictures); later(); };
  const step = (by) => {
    for (let k = 1, i = chosen; k <= n; k++) {
      i = (i + by + n) % n;
      if (shown[D.class[i]]) { choose(i, true); return; }
    }
  };
  canvas.addEventListener('keydown', (e) => {
    const pan = 60 / view.scale;
    const keys = {
      ArrowLeft: () => { view.x -= pan; }, ArrowRight: () => { view.x += pan; },
      ArrowUp: () => { view.y -= pan; }, ArrowDown: () => { view.y += pan; },
      '+': () => middle(1.4), '=': () => middle(1.4), '-': () => middle(1 / 1.4), 0: fit, p: toggle,
      '.': () => step(1), ',': () => step(-1), Escape: () => choose(-1),
    };
    if (!keys[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    if (e.key.startsWith('Arrow')) fresh = false;
    keys[e.key]();
    later();
  });
  byId('in').onclick = () => middle(1.5);
  byId('out').onclick = () => middle(1 / 1.5);
  byId('fit').onclick = fit;
  byId('pictures').onclick = toggle;

  const counts = D.classes.map(() => 0), buttons = [];
  D.class.forEach((c) => counts[c]++);
  const refresh = () => { buttons.forEach(([c, b]) => b.setAttribute('aria-pressed', shown[c])); show(-1); };
  D.classes.forEach((name, c) => {
    if (!counts[c]) return;
    const li = element('li'), b = element('button');
    // The parser knows what an svg element is.
    b.innerHTML = '<svg viewBox="-1.3 -1.3 2.6 2.6" aria-hidden="true"><path></path></svg>';
    b.querySelector('path').setAttribute('d', D.paths[D.marks[c][1]]);
    b.querySelector('path').setAttribute('style', 'fill: var(--c' + D.marks[c][0] + ')');
    b.append(element('span', name), element('small', counts[c]));
    b.title = 'click: hide or show; double click: this class alone';
    b.setAttribute('aria-pressed', 'true');
    b.onclick = () => { shown[c] = !shown[c]; refresh(); };
    b.ondblclick = () => { shown.fill(false); shown[c] = true; refresh(); };
    li.append(b);
    buttons.push([c, b]);
    byId('legend').append(li);
  });
  byId('every').onclick = () => { shown.fill(true); refresh(); };

  sprite.onload = () => { later(); document.documentElement.dataset.ready = 'true'; };
  sprite.src = D.sprite;
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', later);
  new ResizeObserver(() => (fresh ? fit() : later())).observe(canvas);
  choose(-1);
  fit();
})();
