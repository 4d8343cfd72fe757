/** What a client's first bytes say: the name that it wants, that more bytes are needed, or that they are of another protocol. */
export type Opening =
  | { readonly kind: 'named'; readonly name: string }
  /** In the protocol, but without a name. */
  | { readonly kind: 'unnamed' }
  | { readonly kind: 'more' }
  | { readonly kind: 'invalid' }
