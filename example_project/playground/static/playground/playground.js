"use strict";

// The playground works without this file. It adds the countdown and the copy buttons, and ignores the second click of a
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
    }
  };
  const timer = setInterval(tick, 1000);
  tick();
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
