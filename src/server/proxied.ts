/**
 * The header that carries a caller's token where `Authorization` does not get through: the API server takes that one off
 * before it hands a request on to what is behind its proxy.
 */
export const PROXIED_AUTHORIZATION = "proffer-authorization";
