using Actors.Calling;

namespace Actors;

/// <summary>
/// Names one workflow: a namespace and an id, both valid from construction on. Compared as bytes, never normalised.
/// </summary>
/// <remarks>An id is 1 to 200 UTF-8 bytes, a namespace 1 to 100; both well-formed and without control characters; a namespace holds no '/'.</remarks>
public readonly record struct WorkflowId
{
    public const int IdBytesMax = 200;
    public const int NamespaceBytesMax = 100;
    public const string DefaultNamespace = "default";

    /// <exception cref="InvalidWorkflowIdException">Either part is empty, too long, not well-formed, or holds a control character.</exception>
    public WorkflowId(string id, string @namespace = DefaultNamespace)
    {
        Id = Validated(id, "A workflow id", IdBytesMax);
        Namespace = Validated(@namespace, "A namespace", NamespaceBytesMax);
        if (@namespace.Contains('/', StringComparison.Ordinal))
        {
            throw new InvalidWorkflowIdException("A namespace cannot hold '/'.");
        }
    }

    public string Namespace { get; }

    public string Id { get; }

    /// <summary>The key of the workflow's grain: <c>namespace/id</c>.</summary>
    public string GrainKey => $"{Namespace}/{Id}";

    public static WorkflowId FromGrainKey(string key)
    {
        var slash = key.IndexOf('/', StringComparison.Ordinal);
        return slash < 0
            ? throw new InvalidWorkflowIdException("A workflow's grain key is namespace/id.")
            : new WorkflowId(key[(slash + 1)..], key[..slash]);
    }

    public override string ToString() => Namespace == DefaultNamespace ? Id : GrainKey;

    private static string Validated(string text, string what, int bytesMax) =>
        NameRule.Broken(text, what, bytesMax, inBytes: true) is { } sentence ? throw new InvalidWorkflowIdException(sentence) : text;
}
