/** A generated file: its path from the repository's root, and its content. */
export interface Output {
  path: string;
  content: string;
}

/** One kind of generated file. Add one to the list in `tools/generate.ts`. */
export interface Generator {
  name: string;
  /** Folders in which every file is generated: what is not generated any more is removed. */
  ownedFolders?: string[];
  generate: () => Output[] | Promise<Output[]>;
}

/** The first line of generated Markdown. */
export const markdownNotice = (source: string) =>
  `<!-- Generated from ${source} by \`npm run generate\`. Edits are overwritten. -->\n\n`;
