// Well-known providers that people sign in with, as data: where they are, what to ask for, and which claim never changes.
// Not responsible for asking (`login/upstream`). Sources: developers.google.com "OpenID Connect"; docs.github.com "Authorizing OAuth
// apps", "Get the authenticated user"; learn.microsoft.com "ID token claims reference", "OpenID Connect on the Microsoft identity platform".
// Invariant: no code asks for the name of a provider; the subject of each is given once and to nobody else later.

/** Below the public URL: the one redirect URI of this server at providers that people sign in with. */
export const SIGN_IN_CALLBACK = '/sign-in/callback';

export interface SignInPreset {
  readonly title: string;
  /** Undefined: plain OAuth, which has no ID token. `{directory}` stands for whose people are meant, here and in the endpoints. */
  readonly issuer?: string;
  readonly endpoints: {
    readonly authorization: string;
    readonly token: string;
    readonly userinfo: string;
    readonly jwks?: string;
  };
  readonly clientAuth: 'client_secret_basic' | 'client_secret_post';
  readonly scopes: readonly string[];
  readonly subject: string;
  /** The `prompt` that has somebody say again who they are, or be somebody else. */
  readonly again: string;
}

const OPENID = ['openid', 'profile', 'email'];

export const SIGN_IN_PRESETS: { readonly [name: string]: SignInPreset } = {
  google: {
    title: 'Google',
    issuer: 'https://accounts.google.com',
    endpoints: {
      authorization: 'https://accounts.google.com/o/oauth2/v2/auth',
      token: 'https://oauth2.googleapis.com/token',
      userinfo: 'https://openidconnect.googleapis.com/v1/userinfo',
      jwks: 'https://www.googleapis.com/oauth2/v3/certs',
    },
    clientAuth: 'client_secret_post',
    scopes: OPENID,
    subject: 'sub',
    again: 'select_account',
  },
  github: {
    title: 'GitHub',
    endpoints: {
      authorization: 'https://github.com/login/oauth/authorize',
      token: 'https://github.com/login/oauth/access_token',
      userinfo: 'https://api.github.com/user',
    },
    clientAuth: 'client_secret_post',
    // Who somebody is, is public there.
    scopes: [],
    // A number. `login` can be changed, and then be taken by somebody else.
    subject: 'id',
    again: 'select_account',
  },
  entra: {
    title: 'Microsoft',
    // Its metadata do not say that it takes PKCE, which it does: hence endpoints.
    issuer: 'https://login.microsoftonline.com/{directory}/v2.0',
    endpoints: {
      authorization: 'https://login.microsoftonline.com/{directory}/oauth2/v2.0/authorize',
      token: 'https://login.microsoftonline.com/{directory}/oauth2/v2.0/token',
      userinfo: 'https://graph.microsoft.com/oidc/userinfo',
      jwks: 'https://login.microsoftonline.com/{directory}/discovery/v2.0/keys',
    },
    clientAuth: 'client_secret_post',
    scopes: OPENID,
    // `sub` is another one for each application; operators look `oid` up in their directory.
    subject: 'oid',
    again: 'select_account',
  },
};
