// Well-known OAuth services as data: where they are, and in what they differ from the RFCs.
// Not responsible for reading answers (`connections/oauth`). Sources: docs.github.com "Authorizing OAuth apps" and
// "Refreshing user access tokens"; developers.google.com "OAuth 2.0 for Web Server Applications".
// Invariant: whoever reads a quirk names it here; no code asks for the name of a service.
import type { OAuthQuirks } from './compiled.ts';

export interface Preset {
  readonly title: string;
  readonly issuer?: string;
  readonly endpoints: { readonly authorization: string; readonly token: string; readonly revocation?: string };
  readonly origins: readonly string[];
  readonly clientAuth: 'client_secret_basic' | 'client_secret_post';
  readonly quirks: OAuthQuirks;
}

export const NO_QUIRKS: OAuthQuirks = Object.freeze({});

export const PRESETS: { readonly [name: string]: Preset } = {
  github: {
    title: 'GitHub',
    endpoints: {
      authorization: 'https://github.com/login/oauth/authorize',
      token: 'https://github.com/login/oauth/access_token',
    },
    origins: ['https://api.github.com'],
    clientAuth: 'client_secret_post',
    quirks: {
      // `{"error":"bad_refresh_token"}` comes with status 200; tokens of OAuth apps have neither expiry nor refresh token.
      goneErrors: ['bad_refresh_token'],
      // Asked for user and read:user, it answers user.
      scopesAreReduced: true,
      manageUrl: 'https://github.com/settings/applications',
    },
  },
  google: {
    title: 'Google',
    issuer: 'https://accounts.google.com',
    endpoints: {
      authorization: 'https://accounts.google.com/o/oauth2/v2/auth',
      token: 'https://oauth2.googleapis.com/token',
      revocation: 'https://oauth2.googleapis.com/revoke',
    },
    origins: ['https://www.googleapis.com'],
    clientAuth: 'client_secret_post',
    quirks: {
      // Without both there is no refresh token, or none the second time.
      authorizationParameters: { access_type: 'offline', prompt: 'consent' },
      scopeAliases: {
        email: 'https://www.googleapis.com/auth/userinfo.email',
        profile: 'https://www.googleapis.com/auth/userinfo.profile',
      },
      manageUrl: 'https://myaccount.google.com/permissions',
    },
  },
};
