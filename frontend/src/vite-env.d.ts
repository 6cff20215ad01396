interface ImportMetaEnv {
  /** Where the gateway is, such as `http://localhost:4000`. */
  readonly VITE_API_URL?: string;
}
