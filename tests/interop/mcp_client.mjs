// An MCP client made with the official TypeScript SDK. It knows the address of a server and its own metadata document.
// node mcp_client.mjs ADDRESS CLIENT_ID PORT PACKAGE, where PACKAGE is the SDK: @modelcontextprotocol/client, or
// @modelcontextprotocol/sdk, which is the older. It reads and prints the same lines as mcp_client.py. In an order,
// "dropRefreshToken" lets the program forget its refresh token before the calls.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [address, clientId, port, packageName] = process.argv.slice(2);
const require = createRequire(`${process.env.INTEROP}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const isOlder = packageName === "@modelcontextprotocol/sdk";
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = isOlder
  ? Object.assign(
      {},
      await load(`${packageName}/client/index.js`),
      await load(`${packageName}/client/streamableHttp.js`),
      await load(`${packageName}/client/auth.js`),
    )
  : await load(packageName);

const say = (line) => console.log(JSON.stringify(line));
const visits = []; // the queries that browsers brought
createServer((request, response) => {
  response.end("You can close this page.");
  const url = new URL(request.url, address);
  if (url.pathname === "/callback") visits.push(url.searchParams);
}).listen(port, "127.0.0.1");

// Where the SDK keeps what it got: here in memory.
const stored = {};
const provider = {
  redirectUrl: `http://127.0.0.1:${port}/callback`,
  clientMetadataUrl: clientId,
  clientMetadata: { client_name: "Notebook", redirect_uris: [`http://127.0.0.1:${port}/callback`] },
  clientInformation: () => stored.client,
  saveClientInformation: (client) => void (stored.client = client),
  tokens: () => stored.tokens,
  saveTokens: (tokens) => void (stored.tokens = tokens),
  codeVerifier: () => stored.verifier,
  saveCodeVerifier: (verifier) => void (stored.verifier = verifier),
  invalidateCredentials: () => delete stored.tokens,
  redirectToAuthorization: (url) => say({ open: String(url) }),
};

// The SDK leaves it to the program to wait for the browser, and to try again.
async function withBrowser(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
  }
  while (visits.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  const query = visits.shift();
  if (query.has("error")) throw new Error(`The browser brought ${query.get("error")}`);
  await transport.finishAuth(isOlder ? query.get("code") : query);
  return await attempt();
}

let transport, client;
async function connect() {
  client = new Client({ name: "notebook", version: "1" });
  transport = new StreamableHTTPClientTransport(new URL(address), { authProvider: provider });
  await client.connect(transport);
}

async function call(name, args) {
  try {
    const result = await withBrowser(() => client.callTool({ name, arguments: args }));
    return { text: result.content[0].text, is_error: result.isError };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
}

await withBrowser(connect);
say({ protocol: transport.protocolVersion });
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  if (order.dropRefreshToken) delete stored.tokens.refresh_token;
  say({ results: await Promise.all(order.calls.map((pair) => call(...pair))) });
}
process.exit(0);
