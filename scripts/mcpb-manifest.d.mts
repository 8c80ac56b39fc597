/** Of mcpb-manifest.mjs. */
export function manifestOf(directory?: string): Promise<{
  readonly version: string;
  readonly server: {
    readonly mcp_config: {
      readonly args: readonly string[];
      readonly env: { readonly VECTOR_ROOTS: string };
    };
  };
  readonly tools: readonly { readonly name: string }[];
}>;
