"use strict";

// Proposes names while one is typed. Without JavaScript, the names alike are shown once the form was sent.
for (const field of document.querySelectorAll("[data-proposals]")) {
  const list = document.getElementById(field.getAttribute("list"));
  let timer;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const typed = field.value;
      const response = await fetch(`${field.dataset.proposals}?q=${encodeURIComponent(typed)}`);
      if (!response.ok || typed !== field.value) return;
      const { proposals } = await response.json();
      list.replaceChildren(...proposals.map(([value, title]) => new Option(title, value)));
    }, 200);
  });
}
