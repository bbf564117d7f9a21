import { expect, test } from "vitest";
import { until } from "./clock.test-support.ts";
import { thing, useBench } from "./reflector.test-support.ts";

// etcd goes back to a backup: versions that the cache has seen will come again, and mean something else.

const bench = useBench();

test("a cache that starts over lists at once, and takes what it finds at lower versions for the truth", async () => {
  const old = await bench().synced([thing("a", 5, "90"), thing("b", 1, "95")], "100");
  const again = bench().streamedList([thing("a", 1, "9"), thing("c", 1, "12")], "20");
  const done = bench().reflector.startOver();
  const stream = await again;
  expect(await done).toBe(true);
  expect(bench().heard).toEqual(["-b1", "~a1<a5", "+c1", "synced@20"]);
  await until(() => !old.isOpen);
  bench().heard.length = 0;
  stream.event("ADDED", thing("d", 1, "21"));
  stream.event("DELETED", thing("a", 1, "22"));
  await bench().hears("+d1", "-a1");
  const resumed = bench().nextWatch();
  stream.end();
  await resumed;
  expect(bench().queries().at(-1)).toMatchObject({ resourceVersion: "22" });
});

test("it takes an object for news that has the same version by chance", async () => {
  await bench().synced([thing("a", 5, "90")], "100");
  const again = bench().streamedList([thing("a", 1, "90")], "91");
  const done = bench().reflector.startOver();
  await again;
  await done;
  expect(bench().heard).toEqual(["~a1<a5", "synced@91"]);
});

test("so does one that finds out by itself, since a list is older than what it had seen", async () => {
  await bench().synced([thing("a", 5, "90")], "100");
  const again = bench().streamedList([thing("a", 1, "90")], "91");
  const done = bench().reflector.resync();
  await again;
  await done;
  expect(bench().heard).toEqual(["~a1<a5", "synced@91"]);
  expect(bench().reflector.hasPassed("92")).toBe(false);
});

test("it has passed no version until the list is there, and who waits for one of before is told that it will not come", async () => {
  await bench().synced([], "100");
  const { reflector } = bench();
  const waits = reflector.waitUntil("101", 60_000);
  const again = bench().streamedList([], "20");
  const done = reflector.startOver();
  expect([await waits, reflector.hasPassed("1"), reflector.lastSyncResourceVersion]).toEqual([false, false, undefined]);
  const waitsAnew = reflector.waitUntil("20", 60_000);
  await again;
  await done;
  expect([await waitsAnew, reflector.hasPassed("20"), reflector.hasPassed("21")]).toEqual([true, true, false]);
});
