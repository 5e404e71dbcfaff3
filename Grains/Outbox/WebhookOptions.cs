using System.ComponentModel.DataAnnotations;

namespace Actors;

/// <summary>Where a <see cref="WebhookSink"/> sends, and how it signs.</summary>
public sealed class WebhookOptions
{
    /// <summary>Gets every message as an HTTP POST. Redirects are not followed: they are failed attempts.</summary>
    [Required]
    public required Uri Endpoint { get; set; }

    /// <summary>Key of the signature, shared with the receiver: 24 to 64 bytes in Base64, with or without the prefix
    /// <c>whsec_</c>.</summary>
    [Required]
    public required string Secret { get; set; }

    /// <summary>From the connection to the response's headers; then the attempt has failed, though the receiver may have taken the
    /// message.</summary>
    /// <value>10 milliseconds to 1 hour. Default 10 seconds.</value>
    [Range(typeof(TimeSpan), "00:00:00.010", "01:00:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);
}
