// Calls a tool of an MCP server by the JavaScript SDK: calls at once of one client, or clients that share a file.
import { readFileSync, writeFileSync, renameSync } from "node:fs";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const config = JSON.parse(process.argv[2]);
let clients = [];
let lost = 0;

function fileStore(path) {
  return {
    load: () => JSON.parse(readFileSync(path, "utf8")),
    save: (tokens) => {
      const written = `${path}.${process.hrtime.bigint()}`;
      writeFileSync(written, JSON.stringify(tokens ?? null));
      renameSync(written, path);
    },
  };
}

function memoryStore() {
  let kept = null;
  return { load: () => kept, save: (tokens) => (kept = tokens) };
}

class Provider {
  constructor(store) {
    this.store = store;
  }
  get redirectUrl() {
    return "http://127.0.0.1/callback";
  }
  get clientMetadata() {
    return { redirect_uris: [this.redirectUrl], scope: "notes:read" };
  }
  clientInformation() {
    return { client_id: config.client_id, client_secret: config.client_secret };
  }
  tokens() {
    return this.store.load() ?? undefined;
  }
  saveTokens(tokens) {
    this.store.save(tokens);
  }
  invalidateCredentials(scope) {
    if (scope === "all" || scope === "tokens") this.store.save(null);
  }
  redirectToAuthorization() {
    lost += 1;
  }
  saveCodeVerifier() {}
  codeVerifier() {
    return "unused";
  }
}

async function start(tokens) {
  await Promise.all(clients.map((client) => client.close()));
  const count = config.mode === "calls" ? 1 : config.callers;
  const shared = config.mode === "file" ? fileStore(`${config.folder}/tokens.json`) : null;
  clients = [];
  for (let number = 0; number < count; number += 1) {
    const store = shared ?? memoryStore();
    store.save(tokens);
    const client = new Client({ name: `caller-${number}`, version: "1" });
    const authProvider = new Provider(store);
    await client.connect(new StreamableHTTPClientTransport(new URL(`${config.origin}/mcp`), { authProvider }));
    clients.push(client);
  }
  return {};
}

async function callAll({ late }) {
  lost = 0;
  const callers = Array.from({ length: config.callers }, (_, number) => clients[number % clients.length]);
  const call = (client) => client.callTool({ name: "whoami", arguments: {} });
  const last = late ? callers.pop() : null;
  const results = await Promise.allSettled(callers.map(call));
  if (last) {
    await new Promise((resolve) => setTimeout(resolve, late * 1000));
    results.push(...(await Promise.allSettled([call(last)])));
  }
  const errors = results.filter((result) => result.status === "rejected").map((result) => String(result.reason));
  return { failed: errors.length, lost, error: errors[0] ?? "" };
}

console.warn = () => {};
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  console.log(JSON.stringify(order.tokens ? await start(order.tokens) : await callAll(order)));
}
process.exit(0);
