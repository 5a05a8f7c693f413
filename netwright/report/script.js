// Turns the <title> of every mark into a tooltip that shows at once, also on touch. Without this script titles still work.
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);
  for (const title of document.querySelectorAll("svg title")) {
    const mark = title.parentNode;
    mark.dataset.tip = title.textContent;
    mark.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  const place = (event) => {
    const gap = 14, box = tip.getBoundingClientRect();
    let x = event.clientX + gap, y = event.clientY + gap;
    if (x + box.width > innerWidth - 6) x = event.clientX - gap - box.width;
    if (y + box.height > innerHeight - 6) y = event.clientY - gap - box.height;
    tip.style.left = Math.max(6, x) + "px";
    tip.style.top = Math.max(6, y) + "px";
  };
  const show = (event) => {
    const mark = event.target.closest ? event.target.closest("[data-tip]") : null;
    tip.hidden = !mark;
    if (!mark) return;
    const [first, ...rest] = mark.dataset.tip.split("\n");
    const head = document.createElement("b");
    head.textContent = first;
    tip.replaceChildren(head, document.createTextNode(rest.length ? "\n" + rest.join("\n") : ""));
    place(event);
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
})();
