// The API's description, to read and to try. What is tried here is done as whoever is signed in.

const place = document.getElementById("api");
const token = document.querySelector('meta[name="csrf-token"]')?.content;

function ours(request) {
  if (token && !["GET", "HEAD"].includes(request.method)) {
    request.headers["X-CSRF-Token"] = token;
  }
  return request;
}

window.SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: ours,
});
