import fc from "fast-check";
import { expect, test } from "vitest";
import { type CacheEntry, ObjectCache } from "./object-cache.ts";

interface Fact {
  readonly type: "put" | "delete";
  readonly key: string;
  readonly uid: string;
  readonly version: string;
}

/** A history as an API server writes it: each write has the next version, a new object has a new UID. */
function historyOf(writes: readonly { key: string; remove: boolean }[]): Fact[] {
  const live = new Map<string, string>();
  return writes.map(({ key, remove }, i) => {
    const version = String(i + 1);
    const uid = live.get(key) ?? `uid-${version}`;
    if (remove && live.delete(key)) return { type: "delete", key, uid, version };
    live.set(key, uid);
    return { type: "put", key, uid, version };
  });
}

function stateAt(history: readonly Fact[], version: number): Map<string, CacheEntry<string>> {
  const state = new Map<string, CacheEntry<string>>();
  for (const { type, key, uid, version: resourceVersion } of history.slice(0, version)) {
    if (type === "delete") state.delete(key);
    else state.set(key, { uid, resourceVersion, object: resourceVersion });
  }
  return state;
}

const histories = fc
  .array(fc.record({ key: fc.constantFrom("a", "b", "c"), remove: fc.boolean() }), { minLength: 1, maxLength: 40 })
  .map(historyOf);

test("however a history is listed, cut, repeated and listed again, cache and consumer end where the server is", () => {
  fc.assert(
    fc.property(histories, fc.array(fc.tuple(fc.nat(40), fc.nat(8), fc.boolean())), (history, steps) => {
      const consumer = new Map<string, string>();
      const cache = new ObjectCache<string>(true, (change) => {
        // A consumer that counts on: a delete is of what it holds, an upsert says truly what was there before.
        if (change.type === "delete") {
          expect(consumer.get(change.key)).toBe(change.object);
          consumer.delete(change.key);
        } else {
          expect(consumer.get(change.key)).toBe(change.previous);
          consumer.set(change.key, change.object);
        }
      });
      let passed = 0;
      for (const [target, repeat, relist] of [...steps, [history.length, 0, false] as const]) {
        const next = Math.max(passed, Math.min(target, history.length));
        if (relist) {
          cache.replaceAll(stateAt(history, next));
        } else {
          // The watch begins a few events back, as after a lost connection.
          for (const fact of history.slice(Math.max(0, passed - repeat), next)) {
            if (fact.type === "delete") cache.remove(fact.key, fact.version);
            else cache.upsert(fact.key, fact.uid, fact.version, fact.version, String(passed));
          }
        }
        passed = next;
        const truth = stateAt(history, passed);
        expect(new Map(cache.entries())).toEqual(truth);
        expect(consumer).toEqual(new Map([...truth].map(([key, { object }]) => [key, object])));
      }
    }),
  );
});

test("a list that equals the cache makes no change", () => {
  const changes: unknown[] = [];
  const cache = new ObjectCache<string>(true, (change) => changes.push(change));
  const list = new Map([["a", { uid: "u", resourceVersion: "1", object: "1" }]]);
  cache.replaceAll(list);
  cache.replaceAll(list);
  expect(changes.length).toBe(1);
});

test("an object at a version of another history is news, whatever its number", () => {
  const changes: unknown[] = [];
  const cache = new ObjectCache<string>(true, ({ type, key, object }) => changes.push([type, key, object]));
  const list = (...keys: string[]) =>
    new Map(keys.map((key) => [key, { uid: key, resourceVersion: "7", object: key }]));
  cache.replaceAll(list("a", "b", "c"));
  changes.length = 0;
  cache.forgetVersions();
  cache.upsert("a", "a", "3", "a again", "2");
  cache.remove("b", "4");
  cache.replaceAll(list("a", "c"));
  expect(changes).toEqual([
    ["upsert", "a", "a again"],
    ["delete", "b", "b"],
    ["upsert", "a", "a"],
    ["upsert", "c", "c"],
  ]);
});
