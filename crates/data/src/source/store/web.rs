//! How web servers are asked: as `object_store` does it, but for one answer that it takes for a passing one.

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use std::future::Future;
use std::pin::Pin;

/// Connects as usual, and reads "not implemented" (501), which simple servers say to WebDAV's request for a listing, as "not
/// allowed" (405): `object_store` makes requests again for many seconds after every answer from 500 on, and this one
/// never changes.
#[derive(Debug)]
pub(super) struct Web;

impl HttpConnector for Web {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Once(ReqwestConnector::default().connect(options)?)))
    }
}

#[derive(Debug)]
struct Once(HttpClient);

impl HttpService for Once {
    // What the attribute `async_trait` of the trait stands for.
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let mut answer = self.0.execute(request).await?;
            if answer.status() == reqwest::StatusCode::NOT_IMPLEMENTED {
                *answer.status_mut() = reqwest::StatusCode::METHOD_NOT_ALLOWED;
            }
            Ok(answer)
        })
    }
}
