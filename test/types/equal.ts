/** What the type tests share: tsc checks them and nobody runs them. */

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** `equal<A, B>(true)` compiles only where the two are the very same type. */
export const equal = <A, B>(_: Equal<A, B>): void => undefined
