import { expect, test } from "vitest";
import { cgroupMounts } from "./cgroups.ts";

test.each([
  {
    name: "version 1: a hierarchy for each controller",
    mounts:
      "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n",
    found: ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory"],
    memory: ["/sys/fs/cgroup/memory"],
  },
  {
    name: "version 2: one",
    mounts: "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n",
    found: ["/sys/fs/cgroup"],
    memory: [],
  },
  { name: "none", mounts: "", found: [], memory: [] },
])("$name", ({ mounts, found, memory }) => {
  const all = cgroupMounts(mounts);
  expect(all.map(({ place }) => place)).toEqual(found);
  expect(all.filter(({ options }) => options.includes("memory")).map(({ place }) => place)).toEqual(memory);
});
