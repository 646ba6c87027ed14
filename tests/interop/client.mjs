// A client made with oauth4webapi: it knows the issuer and its own key, and discovers everything else.
// node client.mjs ISSUER USERNAME PASSWORD, with the application's private JWK on standard input.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.INTEROP}/`);
const oauth = await import(pathToFileURL(require.resolve("oauth4webapi")));

const [issuer, username, password] = process.argv.slice(2);
const jwk = JSON.parse(readFileSync(0, "utf8"));
const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: "interop" };
const authentication = oauth.PrivateKeyJwt({ key, kid: jwk.kid });
const redirectURI = "https://client.example/callback";

const server = await oauth.processDiscoveryResponse(
  new URL(issuer),
  await oauth.discoveryRequest(new URL(issuer), { algorithm: "oauth2", ...insecure }),
);
console.log("discovered", server.token_endpoint);

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const url = new URL(server.authorization_endpoint);
url.search = new URLSearchParams({
  client_id: client.client_id,
  redirect_uri: redirectURI,
  response_type: "code",
  scope: "notes:read",
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
});
const callback = await allowAsPerson(url);
const parameters = oauth.validateAuthResponse(server, client, callback, state);
const first = await oauth.processAuthorizationCodeResponse(
  server,
  client,
  await oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, redirectURI, verifier, insecure),
);
console.log("redeemed", first.token_type, first.scope);

const second = await oauth.processRefreshTokenResponse(
  server,
  client,
  await oauth.refreshTokenGrantRequest(server, client, authentication, first.refresh_token, insecure),
);
console.log("refreshed", second.refresh_token !== first.refresh_token);

await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, authentication, second.refresh_token, insecure),
);
const afterwards = await oauth.refreshTokenGrantRequest(server, client, authentication, second.refresh_token, insecure);
console.log("revoked", afterwards.status, (await afterwards.json()).error);

// Sign in and allow, as a person's browser would: cookies are kept, forms are sent, redirects followed by hand.
async function allowAsPerson(url) {
  const cookies = new Map();
  async function visit(target, form) {
    const headers = { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") };
    const body = form && new URLSearchParams({ ...form, csrfmiddlewaretoken: cookies.get("csrftoken") });
    const response = await fetch(target, { method: form ? "POST" : "GET", headers, body, redirect: "manual" });
    for (const cookie of response.headers.getSetCookie()) {
      const [name, value] = cookie.split(";")[0].split("=");
      cookies.set(name, value);
    }
    return response;
  }
  const login = new URL((await visit(url)).headers.get("Location"), url);
  await visit(login);
  await visit(login, { username, password, next: url.pathname + url.search });
  await visit(url);
  const answer = await visit(url, { decision: "allow" });
  return new URL(answer.headers.get("Location"));
}
