// undici's timers, which its own tests advance by hand.

declare module 'undici/lib/util/timers.js' {
  const timers: { /** lets that many milliseconds pass */ tick(ms?: number): void };
  export default timers;
}
