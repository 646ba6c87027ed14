// Renews tokens by oidc-client-ts in several tabs of one Chromium.
import { mkdtempSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const config = JSON.parse(process.argv[2]);
const library = readFileSync("node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js", "utf8");
const browser = await chromium.launchPersistentContext(mkdtempSync(`${config.folder}/chromium-`), {
  executablePath: config.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
const page = `${config.origin}/tab.html`;
await browser.route(page, (route) =>
  route.fulfill({ contentType: "text/html", body: `<script>${library}</script>` }),
);

function prepare({ origin, client_id, mode, tokens }) {
  const { UserManager, User, WebStorageStateStore } = window.oidc;
  const store = mode === "file" ? window.localStorage : window.sessionStorage;
  window.manager = new UserManager({
    authority: origin,
    client_id,
    redirect_uri: `${origin}/callback`,
    scope: "notes:read",
    metadata: { issuer: origin, token_endpoint: `${origin}/oauth/token` },
    userStore: new WebStorageStateStore({ store }),
    automaticSilentRenew: false,
  });
  const expires_at = Math.floor(Date.now() / 1000) + tokens.expires_in;
  return window.manager.storeUser(new User({ ...tokens, expires_at, profile: { sub: "eve" }, session_state: null }));
}

async function renew() {
  try {
    const user = await window.manager.signinSilent();
    const answer = await fetch("/protected/", { headers: { Authorization: `Bearer ${user.access_token}` } });
    return answer.ok ? "" : `the API answered ${answer.status}`;
  } catch (error) {
    return error.error ?? String(error);
  }
}

const tabs = [];
for (let number = 0; number < config.callers; number += 1) {
  const tab = await browser.newPage();
  await tab.goto(page);
  tabs.push(tab);
}

async function start(tokens) {
  for (const tab of tabs) await tab.evaluate(prepare, { ...config, tokens });
  return {};
}

async function renewAll({ late }) {
  const first = late ? tabs.slice(0, -1) : tabs;
  const results = await Promise.all(first.map((tab) => tab.evaluate(renew)));
  if (late) {
    await new Promise((resolve) => setTimeout(resolve, late * 1000));
    results.push(await tabs.at(-1).evaluate(renew));
  }
  const errors = results.filter(Boolean);
  return { failed: errors.length, lost: errors.filter((error) => error === "invalid_grant").length, error: errors[0] ?? "" };
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  console.log(JSON.stringify(order.tokens ? await start(order.tokens) : await renewAll(order)));
}
await browser.close();
process.exit(0);
