export declare function isBuilt(root: string, kind: string): boolean;
export declare function noteBuild(root: string, kind: string): void;
