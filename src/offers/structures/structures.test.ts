import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { atLeast, equalVectors, widened } from "../resources.ts";
import { Bitset, SkippingBitset } from "./bitset.ts";
import { Changes } from "./changes.ts";
import { type Heaped, IndexedHeap } from "./heap.ts";
import { formatIndexes, parseIndexes } from "./indexes.ts";
import { Timers } from "./timers.ts";

const small = fc.integer({ min: 0, max: 200 });

describe.each([
  { name: "a bitset", make: (capacity: number) => new Bitset(capacity) },
  { name: "a bitset whose empty stretches are skipped", make: () => new SkippingBitset() },
])("$name", ({ make }) => {
  const step = fc.oneof(
    fc.record({ type: fc.constantFrom("add" as const, "delete" as const), i: small }),
    fc.record({ type: fc.constantFrom("fill" as const, "reserve" as const), i: small }),
    fc.record({ type: fc.constant("clear" as const), i: small }),
  );

  test("is a set of numbers", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), small, (steps, capacity) => {
        const bits = make(capacity);
        const model = new Set<number>();
        for (const { type, i } of steps) {
          if (type === "add") {
            expect(bits.add(i)).toBe(!model.has(i));
            model.add(i);
          } else if (type === "delete") expect(bits.delete(i)).toBe(model.delete(i));
          else if (type === "fill") {
            bits.fill(i);
            model.clear();
            for (let n = 0; n < i; n++) model.add(n);
          } else if (type === "clear") {
            bits.clear();
            model.clear();
          } else bits.reserve(i);
        }
        const sorted = [...model].sort((a, b) => a - b);
        expect([...bits]).toEqual(sorted);
        for (let n = 0; n <= 210; n++) {
          expect(bits.has(n)).toBe(model.has(n));
          expect(bits.next(n)).toBe(sorted.find((m) => m >= n) ?? -1);
        }
        // The summary may name a word that is empty, after `fill`, but misses none that is not.
        for (const n of bits instanceof SkippingBitset ? sorted : []) {
          expect((bits as SkippingBitset).summary.has(n >>> 5)).toBe(true);
        }
      }),
    );
  });
});

describe("an indexed heap", () => {
  interface Item extends Heaped {
    key: number;
    readonly name: number;
  }
  const less = (a: Item, b: Item) => a.key < b.key || (a.key === b.key && a.name < b.name);

  test("gives the least first, whatever is put in, taken out and changed on the way", () => {
    const step = fc.record({
      type: fc.constantFrom("push", "remove", "change", "pop", "rebuild"),
      key: small,
      at: small,
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const heap = new IndexedHeap<Item>(less);
        const inside: Item[] = [];
        let names = 0;
        for (const { type, key, at } of steps) {
          const item = inside[at % Math.max(1, inside.length)];
          if (type === "push" || item === undefined) {
            const fresh = { key, name: names++, place: -1 };
            inside.push(fresh);
            heap.push(fresh);
          } else if (type === "change") {
            item.key = key;
            heap.update(item);
          } else if (type === "rebuild") {
            for (const each of inside) each.key = (each.key * 7 + key) % 31;
            heap.rebuild();
          } else {
            const gone = type === "pop" ? heap.top! : item;
            heap.remove(gone);
            inside.splice(inside.indexOf(gone), 1);
            expect(gone.place).toBe(-1);
          }
          expect(heap.top).toBe([...inside].sort((a, b) => (less(a, b) ? -1 : 1))[0]);
          for (const each of inside) expect(heap.items[each.place]).toBe(each);
        }
        heap.clear();
        expect(heap.top).toBeUndefined();
        for (const each of inside) expect(each.place).toBe(-1);
      }),
    );
  });
});

test("names of what has changed come once each, in the order of their first change, however many", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 90 }), fc.boolean(), (numbers, twice) => {
      const changes = new Changes();
      for (let pass = 0; pass <= Number(twice); pass++) {
        const seen = new Set<string>();
        for (const name of numbers.map(String)) {
          expect(changes.has(name)).toBe(seen.has(name));
          expect(changes.add(name)).toBe(!seen.has(name));
          seen.add(name);
        }
        expect(changes.drain()).toEqual([...seen]);
        expect(changes.drain()).toEqual([]);
      }
    }),
  );
});

describe("vectors of different widths", () => {
  const [short, long] = [Float64Array.of(1, 2), Float64Array.of(1, 2, 0, 0)];

  test("say the same where the wider has zeros", () => {
    expect([equalVectors(short, long), equalVectors(long, short)]).toEqual([true, true]);
    const other = Float64Array.of(1, 2, 0, 3);
    expect([equalVectors(short, other), equalVectors(other, short)]).toEqual([false, false]);
  });

  test("are widened only where that is needed", () => {
    expect(widened(long, 2)).toBe(long);
    expect([...widened(short, 4, 7)]).toEqual([1, 2, 7, 7]);
  });

  test("are no less than a minimum, as wide as that", () => {
    expect([...atLeast(short, Float64Array.of(0, 5, 6))]).toEqual([1, 5, 6]);
  });
});

describe("indexes as ranges", () => {
  test.each([
    { indexes: [], text: "" },
    { indexes: [0], text: "0" },
    { indexes: [0, 1, 2, 5, 7, 8], text: "0-2,5,7-8" },
  ])("$text", ({ indexes, text }) => {
    expect(formatIndexes(indexes)).toBe(text);
    expect([...parseIndexes(text, 10)]).toEqual(indexes);
  });

  test.each([
    { text: "3-1", read: [] },
    { text: "8-99", read: [8, 9] },
    { text: "10,2", read: [2] },
    { text: "x,-1,1.5,2,,3", read: [2, 3] },
    { text: "9999999999", read: [] },
  ])("what makes no sense names nothing: $text", ({ text, read }) => {
    expect([...parseIndexes(text, 10)]).toEqual(read);
  });

  test("what is written is read again", () => {
    fc.assert(
      fc.property(fc.uniqueArray(small), (numbers) => {
        const sorted = numbers.sort((a, b) => a - b);
        expect([...parseIndexes(formatIndexes(sorted), 1_000)]).toEqual(sorted);
      }),
    );
  });
});

test("timers ring in the order of their times, equal ones as they were set, none too early", () => {
  fc.assert(
    fc.property(fc.array(small), small, (times, nowMs) => {
      const timers = new Timers();
      for (const [i, atMs] of times.entries()) timers.set(atMs, { type: "node-settles", name: `${i}` });
      const rung: string[] = [];
      for (let alarm = timers.due(nowMs); alarm !== undefined; alarm = timers.due(nowMs)) {
        rung.push((alarm as { name: string }).name);
      }
      const due = times.map((atMs, i) => ({ atMs, i })).filter(({ atMs }) => atMs <= nowMs);
      expect(rung).toEqual(due.sort((a, b) => a.atMs - b.atMs || a.i - b.i).map(({ i }) => `${i}`));
      expect(timers.size).toBe(times.length - rung.length);
      expect(timers.nextMs).toBe(Math.min(...times.filter((atMs) => atMs > nowMs)));
    }),
  );
});
