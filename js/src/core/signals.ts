/**
 * Values that tell who reads them when they change: the part of @preact/signals-core that views need, with its names
 * and meaning, at a quarter of its size (a bundle travels with every widget). Tests hold it to the original.
 *
 * A source counts its versions. A reader keeps the version of every source it read, and runs again only if one of them
 * moved; a computed value subscribes to its sources only while it has readers of its own, so none is kept alive in vain.
 */

export interface ReadonlySignal<T> {
  readonly value: T;
  /** The value, without becoming its reader. */
  peek(): T;
}

export interface Signal<T> extends ReadonlySignal<T> {
  value: T;
}

/** What an effect may return: run before its next time and at its end. */
type Cleanup = () => void;

let reader: Reader | undefined;
/** Writes so far: a computed value that nobody watches is fresh as long as there was none. */
let writes = 0;
let depth = 0;
const waiting = new Set<Effect>();
/** Rounds of effects that set off each other, after which it is a circle. */
const MOST_ROUNDS = 100;

abstract class Source<T> implements ReadonlySignal<T> {
  version = 0;
  readonly readers = new Set<Reader>();
  protected current!: T;
  /** Whether `current` is what the computation threw. */
  protected isError = false;

  get value(): T {
    const by = reader;
    if (by?.isWatched()) this.watch(by);
    this.refresh();
    by?.sources.set(this, this.version);
    if (this.isError) throw this.current;
    return this.current;
  }

  peek(): T {
    return untracked(() => this.value);
  }

  /** Bring the value up to date. */
  refresh(): void {}

  watch(by: Reader): void {
    this.readers.add(by);
  }

  unwatch(by: Reader): void {
    this.readers.delete(by);
  }
}

class Plain<T> extends Source<T> implements Signal<T> {
  constructor(initial: T) {
    super();
    this.current = initial;
  }

  override get value(): T {
    return super.value;
  }

  override set value(next: T) {
    if (Object.is(next, this.current)) return;
    this.current = next;
    this.version++;
    writes++;
    batch(() => {
      for (const by of this.readers) by.notify();
    });
  }
}

interface Reader {
  /** What it read, with the version that it saw. */
  sources: Map<Source<unknown>, number>;
  isWatched(): boolean;
  /** A source, or a source of a source, may have changed. */
  notify(): void;
}

function hasNews({ sources }: Reader): boolean {
  for (const [source, seen] of sources) {
    source.refresh();
    if (source.version !== seen) return true;
  }
  return false;
}

/** Run `body` as `by`, which then reads what it read this time and no longer what it read before. */
function readAs<T>(by: Reader, body: () => T): T {
  const before = by.sources;
  by.sources = new Map();
  const outer = reader;
  reader = by;
  try {
    return body();
  } finally {
    reader = outer;
    for (const source of before.keys()) if (!by.sources.has(source)) source.unwatch(by);
  }
}

function untracked<T>(body: () => T): T {
  const outer = reader;
  reader = undefined;
  try {
    return body();
  } finally {
    reader = outer;
  }
}

class Computed<T> extends Source<T> implements Reader {
  sources: Reader["sources"] = new Map();
  #isStale = true;
  #checked = -1;

  constructor(readonly compute: () => T) {
    super();
  }

  isWatched(): boolean {
    return this.readers.size > 0;
  }

  override refresh(): void {
    if (this.isWatched() ? !this.#isStale : this.#checked === writes) return;
    const now = writes;
    if (this.version === 0 || untracked(() => hasNews(this))) {
      const [before, hadError] = [this.current, this.isError];
      try {
        this.current = readAs(this, this.compute);
        this.isError = false;
      } catch (error) {
        this.current = error as T;
        this.isError = true;
      }
      if (this.version === 0 || hadError !== this.isError || !Object.is(before, this.current)) this.version++;
    }
    this.#isStale = false;
    this.#checked = now;
  }

  notify(): void {
    if (this.#isStale) return;
    this.#isStale = true;
    for (const by of this.readers) by.notify();
  }

  override watch(by: Reader): void {
    if (!this.isWatched()) {
      this.#isStale = this.#checked !== writes;
      for (const source of this.sources.keys()) source.watch(this);
    }
    super.watch(by);
  }

  override unwatch(by: Reader): void {
    super.unwatch(by);
    if (!this.isWatched()) for (const source of this.sources.keys()) source.unwatch(this);
  }
}

class Effect implements Reader {
  sources: Reader["sources"] = new Map();
  #cleanup: Cleanup | undefined;
  #isOver = false;

  constructor(readonly body: () => unknown) {}

  isWatched(): boolean {
    return !this.#isOver;
  }

  notify(): void {
    waiting.add(this);
  }

  run(): void {
    if (this.#isOver) return;
    this.#tidy();
    const left = batch(() => readAs(this, this.body));
    if (typeof left === "function") this.#cleanup = left as Cleanup;
  }

  end(): void {
    this.#isOver = true;
    this.#tidy();
    for (const source of this.sources.keys()) source.unwatch(this);
  }

  #tidy(): void {
    const cleanup = this.#cleanup;
    this.#cleanup = undefined;
    if (cleanup) untracked(cleanup);
  }
}

/** Change several signals at once: effects run at the end. */
export function batch<T>(body: () => T): T {
  depth++;
  try {
    return body();
  } finally {
    try {
      if (depth === 1) settle();
    } finally {
      depth--;
    }
  }
}

/** Run what waits, and what that sets off. An error in one effect comes out after all others ran. */
function settle(): void {
  const errors: unknown[] = [];
  for (let round = 0; waiting.size > 0; round++) {
    if (round > MOST_ROUNDS) {
      waiting.clear();
      throw new Error("effects set off each other in a circle");
    }
    const now = [...waiting];
    waiting.clear();
    for (const effect of now) {
      try {
        if (untracked(() => hasNews(effect))) effect.run();
      } catch (error) {
        errors.push(error);
      }
    }
  }
  if (errors.length > 0) throw errors[0];
}

export function signal<T>(initial: T): Signal<T> {
  return new Plain(initial);
}

/** A value made of others, when it is asked for and only if one of them changed. */
export function computed<T>(compute: () => T): ReadonlySignal<T> {
  return new Computed(compute);
}

/** Run `body` now and whenever a signal that it read changes, until the function it gives back is called. */
export function effect(body: () => unknown): Cleanup {
  const made = new Effect(body);
  try {
    made.run();
  } catch (error) {
    made.end();
    throw error;
  }
  return () => made.end();
}
