"use strict";

// The playground works without this file. It adds the counters and the copy buttons, and ignores the second click of a
// double click: sent twice, a form would let the client use its refresh token twice, which revokes the grant.

let isSent = false;
document.addEventListener("submit", (event) => {
  if (isSent) {
    event.preventDefault();
  }
  isSent = true;
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) {
    isSent = false; // the browser went back to a page that it kept in memory
  }
});

for (const countdown of document.querySelectorAll("[data-until]")) {
  const [text, bar] = countdown.children;
  bar.hidden = false;
  const tick = () => {
    const left = Math.max(0, Math.round(countdown.dataset.until - Date.now() / 1000));
    text.textContent = left ? `Expires in ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "Expired: refresh now";
    bar.value = left;
    if (!left) {
      clearInterval(timer);
      const badge = countdown.closest("li").querySelector(".badge");
      badge.textContent = "expired";
      badge.classList.replace("good", "bad");
    }
  };
  const timer = setInterval(tick, 1000);
  tick();
}

// A delay that was measured passes once more, as fast as it was.
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
  for (const figure of document.querySelectorAll("[data-counts]")) {
    const last = Number(figure.dataset.counts);
    const bar = figure.closest("div").querySelector("progress");
    let begin;
    const step = (now) => {
      begin ??= now;
      const passed = Math.min(last, Math.round(now - begin));
      figure.textContent = bar.value = passed;
      if (passed < last) {
        requestAnimationFrame(step);
      }
    };
    requestAnimationFrame(step);
  }
}

if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copies);
      button.textContent = "Copied";
    });
  }
}
