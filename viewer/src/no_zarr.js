// Stands in for the Zarr reader that NiiVue imports and the page never calls.
export const root = undefined;
export const open = undefined;
export const get = undefined;
export const FetchStore = undefined;
